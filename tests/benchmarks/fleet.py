"""A simulated fleet: workers that replay curves against one PostgreSQL server:

python -m tests.benchmarks.fleet [SECONDS [WORKERS[:FINISHED] ...]]

Each worker is the sweeper's own loop with a job's own trial, a study and a cache of its own;
instead of training it sleeps, and reports the nine values of a curve. Workers are threads of two
processes, which share imports, connections (as behind a pooler), and the memory of trials that all
of them have read. A search is met in full swing: so many trials are finished, every worker is
somewhere in the middle of one, and trials last so long that about one ends in two seconds in all.
Printed for each size, in processor time, as two cores serve all workers, the server, and others:

* trials and reports a second;
* ask: a worker, for its next trial; wait: from the end of a trial to the start of the next one;
* lock: the worker while it has the study locked for that; held: how long it has it, by the clock;
* report: a job, for a report and the pruner's word;
* server: a trial, with all that belongs to it (9 reports, signs of life).
"""

import io
import itertools
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
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import optuna
import psutil
from hydra.core.utils import JobReturn, JobStatus
from optuna.storages import get_storage
from optuna.trial import FrozenTrial
from rich.console import Console
from sqlalchemy import make_url

from doctune.space.search_space import Branch, SearchSpace
from doctune.study.budget import Budget
from doctune.study.lock import study_lock
from doctune.study.pruners import NOTES
from doctune.study.storage import open_storage
from doctune.study.tables import TableStorage
from doctune.study.window import windowed
from doctune.sweeper import loop as sweeper_loop
from doctune.sweeper.display import make_display
from doctune.sweeper.loop import AsyncLoop, InFlight
from doctune.trial import RunningTrial
from tests.benchmarks.prefilled import SPACE, STEPS, curve, prefill, score
from tests.doctune.postgresql import new_database, server

SIZES = ("8:1000", "64:1000", "256:1000", "1024:1000")
SECONDS = 30.0
# Trials a second, of all workers together.
RATE = 0.5
# Seconds between signs of life; of a thousand workers each 10 would be a hundred a second.
HEARTBEAT, OF_MANY, MANY = 10.0, 60.0, 500
NAME = "fleet"
PROCESSES = 2
# Of a process: so many for its storage, and for those that wait for the lock or have it.
CONNECTIONS = 40

# What has been read of finished trials, whoever has read it; they never change.
_known: dict[tuple[bool, int], FrozenTrial] = {}


class Replayed:
    """Jobs that sleep and report a curve; notes what each report took.

    Args:
        study: of the trials, as their jobs open it.
        curves: its storage, as pruners do.
        seconds: of a trial.
    """

    def __init__(self, study: optuna.Study, curves: Any, seconds: float) -> None:
        self._study, self._curves = study, curves
        self._pause = seconds / STEPS
        # (begin, end); the last one may not have ended.
        self.trials: list[list[float]] = []
        # (when, processor time)
        self.reports: list[tuple[float, float]] = []

    def launch(self, overrides: Sequence[str], number: int) -> JobReturn:
        """Replay a trial."""
        words = dict(word.split("=") for word in overrides)
        last = score({key: float(value) for key, value in words.items()})
        return self.replay(number, last, 0, self._pause)

    def replay(self, number: int, last: float, first: int, pause: float) -> JobReturn:
        """Replay a trial from its step `first` on, which comes after `pause` seconds."""
        self.trials.append([time.time()])
        trial = RunningTrial(self._study, number, prune=True, curves=lambda _: self._curves)
        try:
            for step, value in list(enumerate(curve(last)))[first:]:
                time.sleep(pause)
                pause = self._pause
                used = time.thread_time()
                trial.report(value, step, f"epoch {step + 1}/{STEPS}")
                reason = trial.reason_to_stop()
                self.reports.append((time.time(), time.thread_time() - used))
                if reason is not None:
                    error = optuna.TrialPruned(reason)
                    return JobReturn(status=JobStatus.FAILED, _return_value=error)
        finally:
            self.trials[-1].append(time.time())
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
    """The study's lock, with how long it was held, and of that the worker's processor time."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self.times: list[tuple[float, float]] = []

    def __call__(self) -> AbstractContextManager[None]:
        """Return the lock, to be used once."""
        return self._timed()

    @contextmanager
    def _timed(self) -> Iterator[None]:
        with self._lock():
            taken, used = time.time(), time.thread_time()
            yield
            held, used = time.time() - taken, time.thread_time() - used
        self.times.append((held, used))


class TimedLoop(AsyncLoop):
    """The sweeper's loop, with the processor time of each question for a trial."""

    asked: list[float]

    def _next_trial(self) -> optuna.Trial | None:
        used = time.thread_time()
        try:
            return super()._next_trial()
        finally:
            self.asked.append(time.thread_time() - used)

    def adopt(self, trial: FrozenTrial, job: "Future[JobReturn]") -> None:
        """Take over a trial that runs."""
        self._in_flight[job] = InFlight(optuna.Trial(self._study, trial._trial_id))
        self._heartbeat.add(trial._trial_id)


def as_worker(opened: Any, kept: bool) -> Any:
    """Return a storage with a cache of its own, that knows what this process has read so far.

    Args:
        opened: of the process.
        kept: whether it is the loop's, which keeps parameters and notes; jobs keep curves.
    """
    backend = object.__new__(_Shared)
    backend.__dict__.update(opened._backend.__dict__)
    backend.kept = kept
    storage: Any = get_storage(backend)
    for name, value in vars(opened).items():
        if isinstance(value, dict) and name != "_studies":
            setattr(storage, name, dict(value))
    for study_id, info in opened._studies.items():
        copied = object.__new__(type(info))
        copied.__dict__.update(
            {k: v.copy() if isinstance(v, (dict, set)) else v for k, v in vars(info).items()}
        )
        storage._studies[study_id] = copied
    return storage


class _Shared(TableStorage):
    """Our storage, which keeps one of equal finished trials in memory."""

    kept = True

    def _get_trials(self, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
        return [
            _known.setdefault((self.kept, one._trial_id), one) if one.state.is_finished() else one
            for one in super()._get_trials(*args, **kwargs)
        ]


def host(url: str, folder: str, indices: Sequence[int], size: int, seconds: float) -> None:
    """Run some workers of the fleet, and write down what they have seen."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    # Five times a second is too often for hundreds in a process.
    sweeper_loop.COLLECT_SECONDS = 1.0
    threading.stack_size(256 * 1024)
    opened, locks = _connect(url), _connect(url)
    whole = get_storage(opened)
    curves = get_storage(opened.only_curves(NOTES, of_unfinished=False))
    study = optuna.load_study(study_name=NAME, storage=whole)
    mine = {one.user_attrs["owner"]["pid"]: one for one in study.get_trials(deepcopy=False)[-size:]}
    curves.get_all_trials(study._study_id, deepcopy=False)
    workers = [
        Worker(as_worker(whole, True), as_worker(curves, False), locks, url, index, size, seconds)
        for index in indices
    ]
    starting = ThreadPoolExecutor(len(workers))
    threads = [
        threading.Thread(target=one.run, args=(mine[one.index], starting)) for one in workers
    ]
    used = time.process_time()
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    seen = {
        "cpu": time.process_time() - used,
        "memory": psutil.Process().memory_info().rss,
        "asked": [each for one in workers for each in one.loop.asked],
        "lock": [each for one in workers for each in one.lock.times],
        "reports": [each for one in workers for each in one.jobs.reports],
        "trials": [one.jobs.trials for one in workers],
    }
    (Path(folder) / f"{indices[0]}.json").write_text(json.dumps(seen))
    os._exit(0)


def _connect(url: str) -> Any:
    """Open the storage with connections enough for all workers of a process."""
    known = make_url(url).set(drivername="postgresql+psycopg")
    kwargs = {"pool_size": CONNECTIONS, "max_overflow": 0, "pool_timeout": 600}
    return TableStorage(known.render_as_string(hide_password=False), engine_kwargs=kwargs)


class Worker:
    """One worker of the fleet."""

    def __init__(
        self,
        whole: Any,
        curves: Any,
        locks: Any,
        url: str,
        index: int,
        size: int,
        seconds: float,
    ) -> None:
        self.index, self._size = index, size
        tpe = optuna.samplers.TPESampler(
            seed=index, multivariate=True, group=True, constant_liar=True, n_startup_trials=10
        )
        study = optuna.load_study(study_name=NAME, storage=whole, sampler=windowed(tpe, 1000))
        pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2)
        of_job = optuna.load_study(study_name=NAME, storage=whole, pruner=pruner)
        self._pause = size / RATE / STEPS
        self.jobs = Replayed(of_job, curves, size / RATE)
        self.lock = TimedLock(lambda: study_lock(url, locks, NAME))
        budget = Budget(n_trials=10**6, n_jobs=1, timeout=10 * seconds)
        self.loop = TimedLoop(
            study,
            SearchSpace(branches={(): Branch(SPACE)}),
            self.jobs,
            budget,
            make_display(study, budget, Console(file=io.StringIO())),
            lock=self.lock,
            heartbeat=HEARTBEAT if size < MANY else OF_MANY,
            reuse=False,
        )
        self.loop.asked = []
        # As if it were on a machine of its own.
        self.loop._asker.me = owner(index)

    def run(self, trial: FrozenTrial, starting: ThreadPoolExecutor) -> None:
        """Go on with a trial that runs, and then with others."""
        first, part = _phase(self.index, self._size)
        last = score(trial.params)
        job = starting.submit(self.jobs.replay, trial.number, last, first, self._pause * (1 - part))
        self.loop.adopt(trial, job)
        self.loop.run()


def owner(index: int) -> dict[str, Any]:
    """Return the owner of a worker's trials."""
    place = f"worker {index}"
    return {"host": place, "place": place, "pid": index, "started": 0.0}


def _phase(index: int, size: int) -> tuple[int, float]:
    """Return how many steps of its first trial a worker has done, and what part of the next."""
    done = STEPS * (index + 0.5) / size
    return int(done), done % 1


def main(seconds: float = SECONDS, *sizes: str) -> None:
    """Print a line for each size."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}; processor time in ms")
    columns = (
        *("workers", "finished", "trials/s", "reports/s", "ask", "wait", "lock", "held"),
        *("report", "server", "GB"),
    )
    print("".join(f"{name:>10}" for name in columns), flush=True)
    for word in sizes or SIZES:
        size, _, finished = word.partition(":")
        with server(connections=2 * PROCESSES * CONNECTIONS + 20) as url:
            database = new_database(url)
            prefill(database, NAME, int(finished or 1000))
            _begin(database, int(size))
            open_storage.cache_clear()
            print(_row(int(size), int(finished or 1000), database, seconds), flush=True)


def _begin(url: str, size: int) -> None:
    """Add the trials in which the workers are."""
    running = [(owner(index), _phase(index, size)[0]) for index in range(size)]
    prefill(url, NAME, size, seed=1, running=running)


def _row(size: int, finished: int, url: str, seconds: float) -> str:
    processes = multiprocessing.get_context("fork")
    shares = [range(size)[i::PROCESSES] for i in range(PROCESSES)]
    with tempfile.TemporaryDirectory() as folder:
        workers = [
            processes.Process(target=host, args=(url, folder, list(share), size, seconds))
            for share in shares
        ]
        before = _server_seconds(url)
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        used = _server_seconds(url) - before
        seen = [json.loads(path.read_text()) for path in Path(folder).glob("*.json")]
    if len(seen) < len(workers):
        return f"{size:10}  some of the workers were lost"
    asked, locks = ([one for each in seen for one in each[key]] for key in ("asked", "lock"))
    reports = [cpu for each in seen for _, cpu in each["reports"]]
    of_workers = [trials for each in seen for trials in each["trials"]]
    waits = [b[0] - a[1] for ones in of_workers for a, b in itertools.pairwise(ones)]
    # One that was ended in the middle counts as what it has reported.
    trials = len(reports) / STEPS
    numbers = (
        sum(len(one) == 2 for ones in of_workers for one in ones) / seconds,
        len(reports) / seconds,
        *(1000 * _median(ones) for ones in (asked, waits)),
        *(1000 * _median([one[place] for one in locks[PROCESSES:]]) for place in (1, 0)),
        1000 * _median(reports),
        1000 * used / max(1.0, trials),
        sum(each["memory"] for each in seen) / 1e9,
    )
    return f"{size:10}{finished:10,}" + "".join(f"{number:10.1f}" for number in numbers)


def _median(numbers: Sequence[float]) -> float:
    return statistics.median(numbers) if numbers else float("nan")


def _server_seconds(url: str) -> float:
    """Return the processor time of a server, what has ended of it included."""
    folder = str(make_url(url).query["host"])
    total = 0.0
    for process in psutil.process_iter(["name", "cmdline"]):
        words = process.info["cmdline"] or []
        if "postgres" in (process.info["name"] or "") and folder in words:
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
            for child in process.children():
                of_child = child.cpu_times()
                total += of_child.user + of_child.system
    return total


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else SECONDS, *sys.argv[2:])
