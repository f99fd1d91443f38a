"""How long 20 trials of unequal length take on 2 workers, against the ideal and the stock sweeper.

The ideal is list scheduling: each trial, in order, starts on the worker that is free first.
Measured from the start of the first trial to the end of the last, so that starting processes
counts for neither side; everything between two trials does.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.app import SECONDS

WORKERS = 2
REPOSITORY = Path(__file__).parents[2]

OURS = (
    "hydra/sweeper=optuna_async",
    "hydra/launcher=workers",
    f"hydra.launcher.n_workers={WORKERS}",
)
STOCK = ("hydra/sweeper=optuna", "hydra/launcher=joblib", f"hydra.launcher.n_jobs={WORKERS}")


def ideal() -> float:
    """Return the makespan of list scheduling, in seconds."""
    free = [0.0] * WORKERS
    for seconds in SECONDS:
        worker = free.index(min(free))
        free[worker] += seconds
    return max(free)


def makespan(sweeper: tuple[str, ...]) -> float:
    """Run the sweep and return its makespan in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                *(sys.executable, "-m", "tests.benchmarks.app", "-m", *sweeper),
                *(f"hydra.sweeper.n_trials={len(SECONDS)}", f"hydra.sweeper.n_jobs={WORKERS}"),
                *("hydra.sweep.dir=sweep", "+x=interval(-1.0,1.0)"),
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        times = [json.loads(path.read_text()) for path in Path(folder).glob("sweep/*/times.json")]
    assert len(times) == len(SECONDS)
    return float(max(t["ended"] for t in times) - min(t["started"] for t in times))


def main() -> None:
    """Print the figures side by side."""
    best = ideal()
    print(f"{len(SECONDS)} trials of {min(SECONDS)} to {max(SECONDS)} s on {WORKERS} workers")
    print(f"{'':32}{'seconds':>8}{'over ideal':>12}")
    print(f"{'ideal (list scheduling)':32}{best:8.2f}{1:12.2f}")
    for name, sweeper in (("optuna_async, workers", OURS), ("stock optuna, joblib", STOCK)):
        seconds = makespan(sweeper)
        print(f"{name:32}{seconds:8.2f}{seconds / best:12.2f}", flush=True)


if __name__ == "__main__":
    main()
