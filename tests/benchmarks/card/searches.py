"""Real searches through the command line, with how busy the card is while they run.

Each has the same time. `trials an hour` counts the epochs of all trials, those that time or the
pruner has ended included, against those of a whole trial, from the start of the command.
"""

import datetime
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.trial import TrialState

from doctune.study.storage import open_storage
from tests.benchmarks.card.parts import Row
from tests.benchmarks.card.use import Use
from tests.conftest import REPOSITORY

# Seconds to start and to end a search, and to draw the pages of all.
AROUND, DRAWING = 8.0, 12.0
SHORTEST = 15.0


@dataclass(frozen=True)
class Search:
    """A search, by the words of its command line."""

    name: str
    words: tuple[str, ...]
    # Of the time, against the others.
    share: float = 1.0


# About 950 pages to train on, as a team of a competition may have.
PAGES = (
    *("model=efficientnet_lite0", "data.n_images=1580", "data.img_size=224"),
    "trainer.depthwise=torch",
)
SEARCHES = (
    Search("lite0 224 px, auto", (*PAGES, "gpu.trials_per_device=auto")),
    Search("lite0 224 px, one a card", (*PAGES, "gpu.trials_per_device=1")),
    Search("make fast", (), share=0.6),
)
# In the process of the command: workers are what other tests are for.
WORDS = ("gpu=cpu", "data.n_images=400", "data.img_size=32", "hydra/launcher=basic")
ONE = ("quick_validation.epochs=1", "quick_validation.folds=2", "optuna.n_trials=1")
TINY = Search("tiny", (*WORDS, *ONE))


def rows(tiny: bool, limit: float) -> Iterator[Row]:
    """Search with each way of sharing the card; a row each."""
    with tempfile.TemporaryDirectory() as folder:
        if tiny:
            yield search(TINY, Path(folder), 250.0, on_card=False)
            return
        free = limit - DRAWING - AROUND * len(SEARCHES)
        for each in SEARCHES:
            seconds = max(SHORTEST, free * each.share / sum(e.share for e in SEARCHES))
            yield search(each, Path(folder), seconds, on_card=True)


def search(which: Search, folder: Path, seconds: float, on_card: bool) -> Row:
    """Run a search for so many seconds, and read what its study has."""
    name = "".join(letter if letter.isalnum() else "-" for letter in which.name)
    command = [sys.executable, "-m", "src.train", "-m", "hparams_search=fast", *which.words]
    command += [f"optuna.timeout={seconds:.0f}", f"optuna.study_name={name}", "logger=none"]
    if on_card:
        # The pages are drawn before the clock starts.
        _draw(which, folder)
    began, clock = datetime.datetime.now(), time.monotonic()
    with Use(on_card) as use:
        done = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            told, _ = done.communicate(timeout=seconds + 3 * AROUND)
        except subprocess.TimeoutExpired:
            done.send_signal(signal.SIGINT)
            told, _ = done.communicate()
    print(told)
    wall = time.monotonic() - clock
    study = optuna.load_study(
        study_name=name, storage=open_storage(f"sqlite:///{folder}/multirun/optuna.db")
    )
    for log in sorted((folder / "multirun" / name).glob("worker-*.log")):
        print(f"--- {log.name}\n{log.read_text()[-3000:]}")
    trials = study.get_trials()
    epochs = sum(len(trial.intermediate_values) for trial in trials)
    whole = max(trial.user_attrs.get("workload", {}).get("epochs", 0) for trial in trials)
    ends = [trial.datetime_complete for trial in trials if trial.datetime_complete]
    lasted = (max(ends) - began).total_seconds() if ends else wall
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    return {
        "search": which.name,
        "seconds": lasted,
        "complete": len(complete),
        "pruned": sum(trial.user_attrs.get("stopped") == "pruner" for trial in trials),
        "failed": sum(trial.state is TrialState.FAIL for trial in trials),
        "epochs": epochs,
        "trials an hour": epochs / max(1, whole) / lasted * 3600,
        "best F1": max((trial.values[0] for trial in complete), default=0.0),
        "busy %": use.mean(end=lasted),
        "busy % of the last half": use.mean(lasted / 2, lasted),
        "most GB": max(use.used_gb, default=0.0),
        "each second": use.each_second(),
        "trials": [
            {
                "params": trial.params,
                "begin": (trial.datetime_start - began).total_seconds(),
                "seconds": trial.user_attrs.get("train_seconds"),
                "epochs": len(trial.intermediate_values),
                "worker": trial.user_attrs.get("worker"),
                "foreseen": trial.user_attrs.get("foreseen"),
            }
            for trial in trials
            if trial.datetime_start
        ],
    }


def _environment() -> dict[str, str]:
    found = f"{REPOSITORY}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    return {**os.environ, "PYTHONPATH": found.rstrip(os.pathsep)}


def _draw(which: Search, folder: Path) -> None:
    """Draw the pages into the cache that the search will find."""
    program = (
        "from hydra import compose, initialize_config_dir\n"
        "from src.hardware import profile\nfrom src.trial import config\n"
        "from src.data.load import load_splits\nfrom tests.conftest import CONF\n"
        "if __name__ == '__main__':\n"
        "    with initialize_config_dir(CONF):\n"
        f"        load_splits(compose('train', {list(which.words)!r}).data)\n"
    )
    script = folder / "draw.py"
    script.write_text(program, encoding="utf-8")
    subprocess.run([sys.executable, str(script)], cwd=folder, env=_environment(), check=True)
