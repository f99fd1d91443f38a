"""How long a worker waits for its next trial in a study that has many:

python -m tests.benchmarks.long_study [sqlite|postgresql [FINISHED ...]]

One process serves a study with so many finished trials of 5 parameters, 9 reports and 10 notes each
(a third pruned) by the sweeper's own loop, with jobs that take no time. Milliseconds from the end
of a job to the start of the next one, the median of 30, and of processor time; then the same where
the sampler is shown all trials. What is read once, when the process starts, is told apart.
"""

import contextlib
import io
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import optuna
from hydra.core.utils import JobReturn, JobStatus
from rich.console import Console

from doctune.space.search_space import Branch, SearchSpace
from doctune.study.budget import Budget
from doctune.study.lock import study_lock
from doctune.study.storage import open_storage
from doctune.study.window import windowed
from doctune.sweeper.display import make_display
from doctune.sweeper.loop import AsyncLoop
from tests.benchmarks.prefilled import SPACE, prefill, score
from tests.doctune.postgresql import new_database, server

FINISHED = (100, 1000, 5000, 20000)
TRIALS = 30
WINDOW = 1000


class AtOnce:
    """Jobs that take no time; notes when one begins and ends."""

    def __init__(self) -> None:
        self.began_at: list[tuple[float, float]] = []
        self.ended_at: list[tuple[float, float]] = []

    def launch(self, overrides: Sequence[str], number: int) -> JobReturn:
        """Return a score of the parameters."""
        self.began_at.append((time.perf_counter(), time.process_time()))
        words = dict(word.split("=") for word in overrides)
        params = {key: float(value) for key, value in words.items()}
        value = score(params)
        self.ended_at.append((time.perf_counter(), time.process_time()))
        return JobReturn(status=JobStatus.COMPLETED, _return_value=value)

    def began(self, number: int) -> float | None:
        """Return that it has not been noted."""
        return None

    def waits(self, number: int) -> bool:
        """Return that nothing waits."""
        return False

    def cancel(self, number: int) -> None:
        """Do nothing."""

    def room(self, most: int) -> int:
        """Return that there is room for all."""
        return most

    def most_ahead(self, at_once: int) -> int:
        """Return that nothing is held."""
        return 0


def main(kind: str = "sqlite", *finished: int) -> None:
    """Print the table."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    print(f"{kind}; load of the machine before: {os.getloadavg()[0]:.1f}")
    print(f"{'finished':>10}{'shown':>8}{'first, s':>10}{'ms':>8}{'of first':>10}{'CPU ms':>10}")
    first = None
    for count in finished or FINISHED:
        for most in (WINDOW, None):
            with storage(kind) as url:
                prefill(url, "long", count)
                open_storage.cache_clear()
                start, wall, cpu = serve(url, count, most)
            first = first or wall
            shown = "all" if most is None else f"{most:,}"
            ratio = wall / first
            line = f"{count:10,}{shown:>8}{start:10.2f}{1000 * wall:8.1f}{ratio:10.2f}"
            print(f"{line}{1000 * cpu:10.1f}", flush=True)


@contextlib.contextmanager
def storage(kind: str) -> Iterator[str]:
    """Yield the URL of an empty storage."""
    if kind == "postgresql":
        with server() as url:
            yield new_database(url)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{Path(folder) / 'study.db'}"


def serve(url: str, finished: int, most: int | None) -> tuple[float, float, float]:
    """Return seconds until the first trial, then between two by the clock and of processor time."""
    began = time.perf_counter()
    opened = open_storage(url)
    tpe = optuna.samplers.TPESampler(seed=1, multivariate=True, group=True, constant_liar=True)
    study = optuna.load_study(study_name="long", storage=opened, sampler=windowed(tpe, most))
    budget = Budget(n_trials=finished + TRIALS, n_jobs=1)
    jobs = AtOnce()
    loop = AsyncLoop(
        study,
        SearchSpace(branches={(): Branch(SPACE)}),
        jobs,
        budget,
        make_display(study, budget, Console(file=io.StringIO())),
        lock=lambda: study_lock(url, opened, "long"),
    )
    loop.run()
    pairs = list(zip(jobs.ended_at, jobs.began_at[1:], strict=False))
    waits = [[b[i] - a[i] for a, b in pairs[5:]] for i in (0, 1)]
    wall, cpu = (statistics.median(each) for each in waits)
    return jobs.began_at[0][0] - began, wall, cpu


if __name__ == "__main__":
    main(sys.argv[1] if sys.argv[1:] else "sqlite", *(int(word) for word in sys.argv[2:]))
