"""Real searches through the command line, with how busy the card is while they run.

Each has the same time. A row tells what a search has so far whenever another trial has ended, and
after seconds without one; its last row is what it came to. `trials an hour` counts the epochs of
all trials, those that time or the pruner has ended included, against those of a whole trial, from
the start of the command.
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
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DBAPIError

from doctune.study.storage import open_storage
from tests.benchmarks.card.parts import Row
from tests.benchmarks.card.use import Use
from tests.conftest import REPOSITORY

# Seconds to start and to end a search: a command, its workers and their imports take as long as
# this on machines with slow disks.
AROUND = 20.0
SHORTEST = 15.0
# Seconds between looks at a study, and between rows where no trial ends.
LOOK, SILENT = 1.0, 15.0
# Seconds that a search is given to end after it was asked to, once and again.
ENDING = 8.0


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
# What draws no pages but a few comes first.
SEARCHES = (
    Search("make fast", ("data.n_images=400",), share=0.6),
    Search("lite0 224 px, one a card", (*PAGES, "gpu.trials_per_device=1")),
    Search("lite0 224 px, auto", (*PAGES, "gpu.trials_per_device=auto")),
)
# In the process of the command: workers are what other tests are for.
WORDS = ("gpu=cpu", "data.n_images=480", "data.img_size=32", "hydra/launcher=basic")
ONE = ("quick_validation.epochs=1", "quick_validation.folds=2", "optuna.n_trials=1")
TINY = Search("tiny", (*WORDS, *ONE))


def rows(tiny: bool, limit: float) -> Iterator[Row]:
    """Search with each way of sharing the card; rows of each."""
    ends = time.monotonic() + limit
    with tempfile.TemporaryDirectory() as folder:
        if tiny:
            _draw(TINY, Path(folder))
            yield from search(TINY, Path(folder), 250.0, on_card=False)
            return
        for number, each in enumerate(SEARCHES):
            # The pages are drawn before the clock starts, and take what they take.
            _draw(each, Path(folder))
            those = SEARCHES[number:]
            free = ends - time.monotonic() - AROUND * len(those)
            seconds = free * each.share / sum(e.share for e in those)
            if ends - time.monotonic() < SHORTEST + AROUND:
                return
            yield from search(each, Path(folder), max(SHORTEST, seconds), on_card=True)


def search(which: Search, folder: Path, seconds: float, on_card: bool) -> Iterator[Row]:
    """Run a search for so many seconds, and read what its study has, while it runs and then."""
    name = "".join(letter if letter.isalnum() else "-" for letter in which.name)
    command = [sys.executable, "-m", "src.train", "-m", "hparams_search=fast", *which.words]
    command += [f"optuna.timeout={seconds:.0f}", f"optuna.study_name={name}", "logger=none"]
    began, clock = datetime.datetime.now(), time.monotonic()
    with Use(on_card) as use:
        # What it tells goes to the log as it comes.
        done = subprocess.Popen(command, cwd=folder, env=_environment(), stdout=sys.stderr)
        try:
            told, last = 0, clock
            while done.poll() is None and time.monotonic() - clock < seconds + AROUND:
                time.sleep(LOOK)
                found = _trials(folder, name)
                ended = sum(trial.state.is_finished() for trial in found)
                if ended > told or time.monotonic() - last > SILENT:
                    told, last = ended, time.monotonic()
                    yield {"state": "so far", **_row(which, found, began, last - clock, use)}
        finally:
            _end(done)
    wall = time.monotonic() - clock
    for log in sorted((folder / "multirun" / name).glob("worker-*.log")):
        print(f"--- {log.name}\n{log.read_text()[-3000:]}")
    trials = _trials(folder, name)
    yield {
        "state": "ended",
        **_row(which, trials, began, wall, use),
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


def _trials(folder: Path, name: str) -> list[FrozenTrial]:
    """Return the trials of a study, none where it is not there yet."""
    path = folder / "multirun" / "optuna.db"
    if not path.exists():
        return []
    try:
        study = optuna.load_study(study_name=name, storage=open_storage(f"sqlite:///{path}"))
    except (KeyError, DBAPIError):
        return []
    return study.get_trials()


def _row(
    which: Search, trials: list[FrozenTrial], began: datetime.datetime, wall: float, use: Use
) -> Row:
    epochs = sum(len(trial.intermediate_values) for trial in trials)
    whole = max((t.user_attrs.get("workload", {}).get("epochs", 0) for t in trials), default=0)
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
    }


def _end(search: "subprocess.Popen[bytes]") -> None:
    """Ask a search to end; kill it where it does not."""
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGKILL):
        if search.poll() is not None:
            return
        search.send_signal(number)
        try:
            search.wait(ENDING)
        except subprocess.TimeoutExpired:
            continue


def _environment() -> dict[str, str]:
    found = f"{REPOSITORY}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    return {**os.environ, "PYTHONPATH": found.rstrip(os.pathsep)}


def _draw(which: Search, folder: Path) -> None:
    """Draw the pages into the cache that the search will find."""
    command = [sys.executable, "-m", "tests.benchmarks.card.draw", *which.words]
    with subprocess.Popen(command, cwd=folder, env=_environment()) as drawing:
        if drawing.wait():
            raise subprocess.CalledProcessError(drawing.returncode, command)
