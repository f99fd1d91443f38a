"""How large the report is and how soon it is open, for 200 and for 5,000 trials.

python -m tests.benchmarks.report_size [OTHER_CHECKOUT]

With another checkout of this repository the same studies are reported by both, in turn, and the
ratios to it are told. "Open" is until the first plot and, where there is one, the table of all
trials are on a cold page in chromium: by the clock, and in time of the processor that runs the
page, which other work on the machine does not lengthen; so is the time for writing the page.
Medians of five turns, each of which opens both.
"""

import datetime
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from src.before import config as config
from src.trial.out_of_fold import OutOfFold, log_of
from tests.browser import browser

SIZES = (200, 5000)
TURNS = 5
FOLDS, EPOCHS, IMAGES = 3, 5, 600
CLASSES = tuple(f"kind {i}" for i in range(12))
# Trials that leave files, as disks are slow; the report reads no more of them.
WITH_FILES = 500
HERE = Path(__file__).parents[2]
OPEN = """
const first = document.querySelector('.plot');
const table = document.querySelector('#trials-table');
return (!table || table.rows.length > 1) && first.dataset.drawn === 'done'
"""


def make_study(
    folder: Path, trials: int, *words: str, storage: BaseStorage | str | None = None
) -> str:
    """Search nothing, but leave in `folder` what a search of so many trials would.

    Args:
        folder: where it would have been started.
        trials: how many.
        words: overrides of the config of each trial.
        storage: for the study; None: the file that a search would take.
    """
    name = f"of-{trials}"
    storage = storage or f"sqlite:///{folder}/multirun/optuna.db"
    (folder / "multirun" / name).mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(storage=storage, study_name=name, direction="maximize")
    study.set_metric_names(["f1"])
    study.set_user_attr("settings", {"data": "documents", "quick_validation.folds": FOLDS})
    study.set_user_attr("overrides", ["hparams_search=fast"])
    study.set_user_attr("command", "python -m src.train -m hparams_search=fast")
    rng = np.random.default_rng(trials)
    study.add_trials([_trial(rng, number) for number in range(trials)])
    written = study.get_trials(deepcopy=False)
    with initialize_config_dir(str(HERE / "conf")):
        job = compose("train", ["hparams_search=fast", "gpu=cpu", *words], return_hydra_config=True)
    OmegaConf.set_struct(job, False)
    OmegaConf.set_readonly(job.hydra, False)
    hydra = OmegaConf.to_yaml(OmegaConf.create({"hydra": job.pop("hydra")}))
    texts = OmegaConf.to_yaml(job).splitlines()
    best = sorted(written, key=lambda t: -(t.value or 0))[:WITH_FILES]
    for trial in [written[0], *best]:
        _leave_files(folder / "multirun" / name / str(trial.number), trial, hydra, texts, rng)
    return name


def _trial(rng: np.random.Generator, number: int) -> FrozenTrial:
    lr = float(10 ** rng.uniform(-4, -2)) if number else 1e-3
    batch = int(rng.choice([16, 32, 48, 64]))
    decay, drop = float(rng.uniform(0.01, 0.1)), float(rng.uniform(0.01, 0.15))
    level = 0.85 - 0.08 * (math.log10(lr) + 2.6) ** 2 - 0.5 * abs(drop - 0.05)
    reached = [level * (1 - 0.6**epoch) for epoch in range(1, EPOCHS + 1)]
    curves = [[float(v + rng.normal(0, 0.012)) for v in reached] for _ in range(FOLDS)]
    kind = rng.choice(["complete", "pruned", "failed"], p=[0.68, 0.3, 0.02]) if number else ""
    state = {"pruned": TrialState.PRUNED, "failed": TrialState.FAIL}.get(kind, TrialState.COMPLETE)
    if state is not TrialState.COMPLETE:
        curves = [curves[0][:3]]
    attrs: dict[str, Any] = {
        "worker": f"gpu {number % 2}",
        "curves": curves,
        "losses": {
            "train": [[round(2.4 - 2 * v, 4) for v in curve] for curve in curves],
            "val": [[round(2.5 - 1.9 * v, 4) for v in curve] for curve in curves],
        },
        "train_seconds": float(rng.uniform(40, 90)),
        "environment": {"device": "RTX 4090", "torch": "2.14.1"},
    }
    if number == 0:
        attrs["defaults"] = True
    if state is TrialState.COMPLETE:
        attrs["folds"] = [curve[-1] for curve in curves]
    if state is TrialState.FAIL:
        attrs["error"] = "RuntimeError: CUDA error: an illegal memory access was encountered"
    trial = create_trial(
        state=state,
        value=statistics.fmean(attrs["folds"]) if state is TrialState.COMPLETE else None,
        params={
            "optimizer.lr": lr,
            "data.batch_size": batch,
            "optimizer.weight_decay": decay,
            "model.drop_rate": drop,
        },
        distributions={
            "optimizer.lr": FloatDistribution(1e-4, 1e-2, log=True),
            "data.batch_size": CategoricalDistribution([16, 32, 48, 64]),
            "optimizer.weight_decay": FloatDistribution(0.01, 0.1),
            "model.drop_rate": FloatDistribution(0.01, 0.15),
        },
        intermediate_values=dict(enumerate(value for curve in curves for value in curve)),
        user_attrs=attrs,
    )
    trial.datetime_start = datetime.datetime(2026, 1, 1) + datetime.timedelta(seconds=35 * number)
    trial.datetime_complete = trial.datetime_start + datetime.timedelta(seconds=60)
    return trial


def _leave_files(
    folder: Path, trial: FrozenTrial, hydra: str, lines: list[str], rng: np.random.Generator
) -> None:
    record = folder / ".hydra"
    record.mkdir(parents=True, exist_ok=True)
    (record / "hydra.yaml").write_text(hydra)
    own = dict(trial.params)
    told = [f"  lr: {own['optimizer.lr']}" if line.startswith("  lr: ") else line for line in lines]
    (record / "config.yaml").write_text("\n".join(told) + "\n")
    (folder / "train.log").write_text(
        "".join(
            f"2026-01-01 00:0{fold}:00,000 INFO src.trial.quick_validation: fold {fold + 1} of "
            f"{FOLDS}: f1 {curve[-1]:.4f}\n"
            for fold, curve in enumerate(trial.user_attrs["curves"])
        )
    )
    if trial.value is not None:
        labels = np.arange(IMAGES) % len(CLASSES)
        wrong = rng.random(IMAGES) > trial.value
        guessed = np.where(wrong, rng.integers(0, len(CLASSES), IMAGES), labels)
        given = np.eye(len(CLASSES), dtype=np.float16)[guessed]
        rows, folds = np.arange(IMAGES), np.arange(IMAGES) % FOLDS
        OutOfFold(rows, labels, folds, log_of(given), CLASSES).save(folder)


def report(checkout: Path, folder: Path, study: str) -> tuple[Path, float]:
    """Write a study's report with a checkout; return its path and the processor's seconds."""
    before = _used_by_children()
    subprocess.run(
        [sys.executable, "-m", "src.report", f"study={study}", "examples=0"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    seconds = _used_by_children() - before
    page = folder / f"{study}-{checkout.name}.html"
    shutil.copy(folder / "multirun" / study / "optuna_study_report.html", page)
    return page, seconds


def _used_by_children() -> float:
    used = os.times()
    return used.children_user + used.children_system


def open_page(page: Path) -> tuple[float, float]:
    """Open a page and scroll to its first plot; return seconds of the clock and the processor."""
    from selenium.webdriver.support.ui import WebDriverWait

    with browser("light") as driver:
        # The browser itself is warm, the page is not.
        driver.get("about:blank")
        driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        started = time.monotonic()
        driver.get(page.absolute().as_uri())
        driver.execute_script("document.querySelector('.plot').scrollIntoView()")
        wait = WebDriverWait(driver, 120, poll_frequency=0.02)
        wait.until(lambda page: page.execute_script(OPEN))
        seconds = time.monotonic() - started
        told = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return seconds, next(each["value"] for each in told if each["name"] == "TaskDuration")


def main() -> None:
    """Print a row for each size and checkout, and the ratios."""
    checkouts = [HERE, *(Path(word).absolute() for word in sys.argv[1:2])]
    print("trials  checkout              MB   written   open, clock   open, processor", flush=True)
    # In memory where there is such a place: so many small writes to a disk take minutes.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as temporary:
        folder = Path(temporary)
        for trials in SIZES:
            study = make_study(folder, trials)
            pages = [report(checkout, folder, study) for checkout in checkouts]
            turns = [[open_page(page) for page, _ in pages] for _ in range(TURNS)]
            rows = [
                [
                    page.stat().st_size / 1e6,
                    written,
                    *(statistics.median(turn[which][kind] for turn in turns) for kind in (0, 1)),
                ]
                for which, (page, written) in enumerate(pages)
            ]
            if len(rows) > 1:
                rows.append([ours / theirs for ours, theirs in zip(*rows, strict=True)])
            names = [*(checkout.name for checkout in checkouts), "ratio"]
            for name, row in zip(names, rows, strict=False):
                told = "{:>6.2f}{:>10.2f}{:>14.2f}{:>18.2f}".format(*row)
                print(f"{trials:>6}  {name:<18}{told}", flush=True)


if __name__ == "__main__":
    main()
