"""What a trial costs in a large fleet, on one PostgreSQL server:

python -m tests.benchmarks.fleet [SECONDS [WORKERS[:FINISHED[:AT_WORK]] ...]]

The study has as many trials that run as the fleet has workers, each with its owner, its notes and
the reports that it would have by then. Of the workers sixteen are at work, as what a trial costs
follows from the study alone: threads of one process, each with the sweeper's own loop, a job's own
trial, and a study and caches of its own; instead of training they sleep, and report the nine values
of a curve. They share imports, connections (as behind a pooler), and the memory of trials that
several have read. Printed for each size, in milliseconds of processor time, as other programs use
the machine too, medians but for the server:

* ask: a worker, for its next trial; create: of that, to create it, one worker after the other;
* report: a job, for a report and the pruner's word;
* server: a trial, with all that belongs to it (9 reports, a sign of life each minute);
* trials/s: as many as one core of the server serves by that; asked, reports: so many were seen.

Where more are AT_WORK, they are in several processes, each with connections of its own, and their
trials take as long as two cores need to serve them all. A second line has what they met at once.
"""

import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna

from tests.benchmarks.fleet.host import CONNECTIONS, EACH, Share, host
from tests.benchmarks.fleet.server import Met, Server, watched
from tests.benchmarks.fleet.worker import Taken
from tests.benchmarks.prefilled import STEPS
from tests.doctune.postgresql import server

SIZES = tuple(f"{size}:{done}" for done in (100, 1000, 20000) for size in (8, 64, 256, 1024))
SECONDS = 60.0
AT_WORK = 16
TRIAL_SECONDS = 40.0
# Of two cores, for a trial with all that belongs to it; more than it takes, to leave room.
BUSY_SECONDS = 0.5
# Workers of a process, where each has connections of its own.
TOGETHER = 32
COLUMNS = ("workers", "finished", "ask", "create", "report", "server", "trials/s")


@dataclass(frozen=True)
class Size:
    """A fleet.

    Attributes:
        workers: as many trials run.
        finished: trials of the study.
        at_work: workers.
    """

    workers: int
    finished: int = 1000
    at_work: int = AT_WORK

    @property
    def apart(self) -> bool:
        """Tell whether each of those at work has connections of its own."""
        return self.at_work > AT_WORK

    @property
    def trial_seconds(self) -> float:
        """Return what a trial takes."""
        return max(TRIAL_SECONDS, self.at_work * BUSY_SECONDS)

    def shares(self, url: str, folder: Path) -> list[Share]:
        """Return what each process does."""
        n = min(self.workers, self.at_work)
        # Between those that are not at work.
        numbers = [(2 * i + 1) * self.workers // (2 * n) for i in range(n)]
        some = TOGETHER if self.apart else n
        parts = [tuple(numbers[first : first + some]) for first in range(0, n, some)]
        return [
            Share(url, folder, place, part, self.trial_seconds, self.apart)
            for place, part in enumerate(parts)
        ]


def main(seconds: float = SECONDS, *words: str) -> None:
    """Print a line for each size."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}")
    print("".join(f"{name:>10}" for name in (*COLUMNS, "asked", "reports")), flush=True)
    sizes = [Size(*(int(part) for part in word.split(":"))) for word in words or SIZES]
    most = max(EACH * size.at_work if size.apart else 0 for size in sizes)
    with server(connections=most + 4 * CONNECTIONS) as url:
        served = Server(url)
        for size in sizes:
            _measure(size, served, seconds)


def _measure(size: Size, served: Server, seconds: float) -> None:
    url = served.study(size.workers, size.finished)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shares = size.shares(url, folder)
        context = multiprocessing.get_context("fork")
        processes = [context.Process(target=host, args=(share,)) for share in shares]
        for process in processes:
            process.start()
        while not all(share.ready.exists() for share in shares):
            if not all(process.is_alive() for process in processes):
                raise SystemExit("workers were lost")
            time.sleep(0.1)
        began, used = time.time(), served.seconds()
        with watched(url) as met:
            time.sleep(seconds)
        used = served.seconds() - used
        (folder / "over").touch()
        for process in processes:
            process.join()
        seen = [json.loads(share.seen.read_text()) for share in shares]
    taken = {
        key: [each for of in seen for each in of[key] if each[0] > began]
        for key in ("asked", "lock", "reports")
    }
    print(_row(size, taken, used), flush=True)
    if size.apart:
        print(_at_once(size, taken, met, sum(of["lost"] for of in seen), seconds), flush=True)


def _row(size: Size, taken: dict[str, list[Taken]], used: float) -> str:
    asked, reports = len(taken["asked"]), len(taken["reports"])
    # As many reports as belong to a trial, whatever it was in the middle of.
    a_trial = 1000 * used / max(1.0, reports / STEPS)
    cpu = [1000 * _median([each[1] for each in taken[key]]) for key in ("asked", "lock", "reports")]
    numbers = (*cpu, a_trial, 1000 / a_trial, asked, reports)
    figures = "".join(f"{number:10.1f}" for number in numbers)
    return f"{size.workers:10,}{size.finished:10,}{figures}"


def _at_once(size: Size, taken: dict[str, list[Taken]], met: Met, lost: int, seconds: float) -> str:
    """Return what the workers saw by the clock, and the server of them."""
    by_clock = [
        f"{what} {_median(took):.2f} s, at most {max(took):.2f}"
        for what, took in (
            (what, [each[2] for each in taken[key]])
            for what, key in (("ask", "asked"), ("create", "lock"), ("report", "reports"))
        )
    ]
    each_second = " and ".join(
        f"{len(taken[key]) / seconds:.2f} {what}"
        for what, key in (("trials", "asked"), ("reports", "reports"))
    )
    return (
        f"  {size.at_work} at work, trials of {size.trial_seconds:g} s: {each_second} a second; "
        f"by the clock: {'; '.join(by_clock)}; {met.connections} connections, "
        f"{met.waiting} at most wait for a lock, {met.waits / max(1, met.looks):.2f} on average; "
        f"{met.deadlocks} deadlocks, {lost} workers lost"
    )


def _median(numbers: Sequence[float]) -> float:
    return statistics.median(numbers) if numbers else float("nan")


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else SECONDS, *sys.argv[2:])
