"""A simulated fleet: workers that replay curves against one PostgreSQL server:

python -m tests.benchmarks.fleet [SECONDS [WORKERS ...]]

Every worker is a process with the sweeper's own loop and a job's own trial; instead of training it
sleeps, and reports the nine values of a curve. Trials last so long that about one ends a second in
all, as the machine's cores serve all workers and the server; the search has 1,000 finished trials
when they come. Printed for each size:

* trials and reports a second, after all workers have begun;
* wait: from the end of a trial to the start of the worker's next one, median and 95th percentile;
* report: how long a trial is held up by a report and the pruner's word, the median;
* lock: how long the study is locked for a trial, of that the worker's processor time, and how long
  a worker waits for it, medians;
* server: its processor time a trial, all that belongs to it (9 reports, signs of life).
"""

import functools
import io
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import optuna
import psutil
from hydra.core.utils import JobReturn, JobStatus
from rich.console import Console

from doctune.space.search_space import Branch, SearchSpace
from doctune.study.budget import Budget
from doctune.study.lock import study_lock
from doctune.study.patient import open_patiently
from doctune.study.pruners import NOTES
from doctune.study.storage import load_study, open_storage
from doctune.study.window import windowed
from doctune.sweeper.display import make_display
from doctune.sweeper.loop import AsyncLoop
from doctune.trial import RunningTrial
from tests.benchmarks.prefilled import SPACE, STEPS, curve, prefill, score
from tests.doctune.postgresql import new_database, server

SIZES = (8, 64, 256)
SECONDS = 20.0
FINISHED = 1000
# Trials a second, of all workers together.
RATE = 1.0
NAME = "fleet"
# A worker has one for the loop, one for the lock, two for its job.
CONNECTIONS = 4


class Replayed:
    """Jobs that sleep and report a curve; notes when what happened.

    Args:
        url: of the storage.
        seconds: of a trial.
    """

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._pause = seconds / STEPS
        self.trials: list[tuple[float, float]] = []
        self.reports: list[tuple[float, float]] = []

    def launch(self, overrides: Sequence[str], number: int) -> JobReturn:
        """Replay a trial."""
        began = time.time()
        words = dict(word.split("=") for word in overrides)
        last = score({key: float(value) for key, value in words.items()})
        pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2)
        study = load_study(self._url, NAME, open_patiently(self._url), pruner=pruner)
        curves = functools.partial(open_patiently, self._url, NOTES)
        trial = RunningTrial(study, number, prune=True, curves=curves)
        try:
            for step, value in enumerate(curve(last)):
                time.sleep(self._pause)
                reported = time.time()
                trial.report(value, step, f"epoch {step + 1}/{STEPS}")
                reason = trial.reason_to_stop()
                self.reports.append((reported, time.time()))
                if reason is not None:
                    error = optuna.TrialPruned(reason)
                    return JobReturn(status=JobStatus.FAILED, _return_value=error)
        finally:
            self.trials.append((began, time.time()))
        return JobReturn(status=JobStatus.COMPLETED, _return_value=last)

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


class TimedLock:
    """The study's lock, with how long it was waited for and held."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self.times: list[tuple[float, float, float]] = []

    def __call__(self) -> AbstractContextManager[None]:
        """Return the lock, to be used once."""
        return self._timed()

    @contextmanager
    def _timed(self) -> Iterator[None]:
        asked = time.time()
        with self._lock():
            taken, used = time.time(), time.thread_time()
            yield
            held, used = time.time() - taken, time.thread_time() - used
        self.times.append((taken - asked, held, used))


def work(url: str, folder: str, index: int, trial_seconds: float, seconds: float) -> None:
    """Serve the study as one worker of the fleet, and write down what it has seen."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    # Trials that begin together end together, as no real ones do.
    time.sleep(trial_seconds * (index % 97) / 97)
    opened = open_storage(url)
    tpe = optuna.samplers.TPESampler(
        seed=index, multivariate=True, group=True, constant_liar=True, n_startup_trials=10
    )
    study = optuna.load_study(study_name=NAME, storage=opened, sampler=windowed(tpe, 1000))
    budget = Budget(n_trials=10**6, n_jobs=1, timeout=seconds)
    jobs = Replayed(url, trial_seconds)
    lock = TimedLock(lambda: study_lock(url, opened, NAME))
    loop = AsyncLoop(
        study,
        SearchSpace(branches={(): Branch(SPACE)}),
        jobs,
        budget,
        make_display(study, budget, Console(file=io.StringIO())),
        lock=lock,
        reuse=False,
    )
    # What ends late would wait for all others to end.
    threading.Timer(seconds, loop.stop).start()
    loop.run()
    seen = {"trials": jobs.trials, "reports": jobs.reports, "lock": lock.times}
    (Path(folder) / f"{index}.json").write_text(json.dumps(seen))
    os._exit(0)


def main(seconds: float = SECONDS, *sizes: int) -> None:
    """Print a line for each size."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}")
    columns = (
        "workers",
        "trials/s",
        "reports/s",
        "wait ms",
        "95 %",
        "report",
        "lock",
        "CPU",
        "for it",
    )
    print("".join(f"{name:>10}" for name in (*columns, "server")), flush=True)
    for size in sizes or SIZES:
        with server(connections=CONNECTIONS * size + 50) as url:
            database = new_database(url)
            prefill(database, NAME, FINISHED)
            open_storage.cache_clear()
            print(_row(size, database, seconds), flush=True)


def _row(size: int, url: str, seconds: float) -> str:
    trial_seconds = size / RATE
    processes = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        before = _server_seconds()
        began = time.time()
        whole = 1.5 * trial_seconds + seconds
        workers = [
            processes.Process(target=work, args=(url, folder, index, trial_seconds, whole))
            for index in range(size)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        used = _server_seconds() - before
        seen = [json.loads(path.read_text()) for path in Path(folder).glob("*.json")]
    if len(seen) < size:
        return f"{size:10}  {size - len(seen)} of the workers were lost"
    # While all are there: behind the first trial of the last, before any stops.
    first, last = began + trial_seconds, began + whole
    ended = [end for each in seen for _, end in each["trials"] if first < end < last]
    reports = [end - at for each in seen for at, end in each["reports"] if first < end < last]
    waits = [
        later[0] - earlier[1]
        for each in seen
        for earlier, later in zip(each["trials"], each["trials"][1:], strict=False)
    ]
    locks = [times for each in seen for times in each["lock"][1:]]
    trials = sum(len(each["trials"]) for each in seen)
    numbers = (
        len(ended) / (last - first),
        len(reports) / (last - first),
        1000 * statistics.median(waits),
        1000 * statistics.quantiles(waits, n=20)[-1],
        1000 * statistics.median(reports),
        *(1000 * statistics.median(each[place] for each in locks) for place in (1, 2, 0)),
        1000 * used / trials,
    )
    return f"{size:10}" + "".join(f"{number:10.1f}" for number in numbers)


def _server_seconds() -> float:
    """Return the processor time of all servers of this user's, those that have ended included."""
    total = 0.0
    for process in psutil.process_iter(["name", "cmdline"]):
        if "postgres" in (process.info["name"] or "") and process.ppid() == 1:
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
            for child in process.children():
                of_child = child.cpu_times()
                total += of_child.user + of_child.system
    return total


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else SECONDS, *(int(word) for word in sys.argv[2:]))
