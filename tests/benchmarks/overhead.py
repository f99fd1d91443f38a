"""What a trial takes beyond its own time, ours beside the stock sweeper in one run:

python -m tests.benchmarks.overhead [TRIALS [FINISHED ...]]

* a trivial app, one trial at a time: milliseconds from the end of a trial's own code to the start
  of the next one's, the median behind the sampler's first ten; and the processor time of a trial
  in all processes, which other programs change less: that of a sweep less that of one with a
  quarter of the trials;
* the same with a study that has so many finished trials already (ours alone: the stock sweeper
  begins a study anew);
* 24 trials of 0.2 and 2 s, two at a time: seconds of the whole command, from its start to its end.
"""

import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import create_trial

REPOSITORY = Path(__file__).parents[2]
TRIALS = 80
FINISHED = (5000,)
STARTUP = 10
# Four long trials and twenty short ones: 6 s on two workers if nothing was ever waited for.
MIXED = [2.0, 0.2, 0.2, 0.2, 0.2, 0.2]
MIXED_TRIALS = 24

WORKERS = ("hydra/sweeper=optuna_async", "hydra/launcher=workers")
IN_PROCESS = ("hydra/sweeper=optuna_async", "hydra/launcher=basic")
STOCK = ("hydra/sweeper=optuna", "hydra/launcher=basic")
STOCK_JOBLIB = ("hydra/sweeper=optuna", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


@dataclass(frozen=True)
class Sweep:
    """What was measured of a sweep; all in seconds."""

    # From the end of a trial's own code to the start of the next one's.
    gaps: list[float]
    # Of the whole command.
    wall: float
    # Processor time of the whole command and all that it has started.
    cpu: float


def main(trials: int = TRIALS, *finished: int) -> None:
    """Print both tables."""
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}")
    print(
        f"{'a trial beyond its own time':40}{'ms':>8}{'of stock':>10}{'CPU ms':>10}{'of stock':>10}"
    )
    stock = _row("stock, in process", STOCK, trials)
    _row("ours, in process", IN_PROCESS, trials, stock)
    _row("ours, workers", WORKERS, trials, stock)
    for count in finished or FINISHED:
        _row(f"ours, workers, {count:,} finished before", WORKERS, trials, stock, count)
    print(f"\n{'24 trials of 0.2 and 2 s, n_jobs=2':40}{'seconds':>8}{'of stock':>10}")
    first = None
    for name, words in (("stock, joblib", STOCK_JOBLIB), ("ours, workers", WORKERS)):
        seconds = sweep(words, MIXED_TRIALS, 2, MIXED).wall
        first = first or seconds
        print(f"{name:40}{seconds:8.1f}{seconds / first:10.2f}", flush=True)


Row = tuple[float, float]


def _row(
    name: str, words: tuple[str, ...], trials: int, stock: Row | None = None, finished: int = 0
) -> Row:
    """Measure and print a line; return milliseconds by the clock and of processor time."""
    few, many = (sweep(words, n, 1, [0.0], finished) for n in (trials // 4, trials))
    wall = 1000 * statistics.median(many.gaps[STARTUP:])
    cpu = 1000 * (many.cpu - few.cpu) / (trials - trials // 4)
    of_wall, of_cpu = stock or (wall, cpu)
    shares = f"{wall / of_wall:10.2f}{cpu:10.1f}{cpu / of_cpu:10.2f}"
    print(f"{name:40}{wall:8.1f}{shares}", flush=True)
    return wall, cpu


def sweep(
    words: tuple[str, ...], trials: int, at_once: int, seconds: list[float], finished: int = 0
) -> Sweep:
    """Run a sweep of the app in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        storage = f"sqlite:///{folder}/study.db"
        if finished:
            prefill(storage, "study", finished)
            words = (*words, f"hydra.sweeper.storage={storage}", "hydra.sweeper.study_name=study")
        before = _cpu_of_children()
        began = time.perf_counter()
        subprocess.run(
            [
                *(sys.executable, "-m", "tests.benchmarks.app", "-m", *words),
                *(f"hydra.sweeper.n_trials={finished + trials}", f"hydra.sweeper.n_jobs={at_once}"),
                *("hydra.sweep.dir=sweep", "+x=interval(-1.0,1.0)", f"+seconds={seconds}"),
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wall, cpu = time.perf_counter() - began, _cpu_of_children() - before
        files = Path(folder).glob("sweep/*/times.json")
        times = sorted((json.loads(path.read_text()) for path in files), key=lambda t: t["started"])
    assert len(times) == trials, f"{len(times)} trials ran, not {trials}"
    gaps = [b["started"] - a["ended"] for a, b in itertools.pairwise(times)]
    return Sweep(gaps, wall, cpu)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def prefill(storage: str, name: str, count: int) -> None:
    """Make a study of so many finished trials of the app."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=storage, study_name=name)
    dists: dict[str, BaseDistribution] = {"+x": FloatDistribution(-1.0, 1.0)}
    values = [2 * (i + 0.5) / count - 1 for i in range(count)]
    study.add_trials(
        [create_trial(params={"+x": x}, distributions=dists, value=x**2) for x in values]
    )


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
