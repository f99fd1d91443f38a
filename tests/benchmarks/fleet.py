"""What a trial costs in a large fleet, on one PostgreSQL server:

python -m tests.benchmarks.fleet [SECONDS [WORKERS[:FINISHED] ...]]

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
"""

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
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import optuna
import psutil
from hydra.core.utils import JobReturn, JobStatus
from optuna.storages import get_storage
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from sqlalchemy import make_url

from doctune.space.search_space import Branch, SearchSpace
from doctune.study.budget import Budget
from doctune.study.lock import creation_lock, study_lock
from doctune.study.pruners import NOTES
from doctune.study.storage import open_storage
from doctune.study.tables import TableStorage
from doctune.study.window import windowed
from doctune.sweeper import loop as sweeper_loop
from doctune.sweeper.display import make_display
from doctune.sweeper.loop import AsyncLoop
from doctune.sweeper.telling import InFlight
from doctune.trial import RunningTrial
from tests.benchmarks.prefilled import SPACE, STEPS, curve, prefill, score
from tests.doctune.postgresql import new_database, server

SIZES = ("8:1000", "64:1000", "256:1000", "1024:1000", "10000:1000")
SECONDS = 60.0
AT_WORK = 16
TRIAL_SECONDS = 40.0
# Seconds between signs of life; those that are not at work show none for six times as long.
HEARTBEAT = 60.0
NAME = "fleet"
# So many for the storage, and for those that wait for the lock or have it.
CONNECTIONS = 24

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
        # (when, processor time)
        self.reports: list[tuple[float, float]] = []

    def launch(self, overrides: Sequence[str], number: int) -> JobReturn:
        """Replay a trial."""
        words = dict(word.split("=") for word in overrides)
        last = score({key: float(value) for key, value in words.items()})
        return self.replay(number, last, 0, self._pause)

    def replay(self, number: int, last: float, first: int, pause: float) -> JobReturn:
        """Replay a trial from its step `first` on, which comes after `pause` seconds."""
        trial = RunningTrial(self._study, number, prune=True, curves=lambda _: self._curves)
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
    """A lock, with the worker's processor time while it was held."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self.times: list[tuple[float, float]] = []

    def __call__(self) -> AbstractContextManager[None]:
        """Return the lock, to be used once."""
        return self._timed()

    @contextmanager
    def _timed(self) -> Iterator[None]:
        with self._lock():
            used = time.thread_time()
            yield
            used = time.thread_time() - used
        self.times.append((time.time(), used))


class TimedLoop(AsyncLoop):
    """The sweeper's loop, with the processor time of each question for a trial."""

    asked: list[tuple[float, float]]

    def _next_trial(self) -> optuna.Trial | None:
        used = time.thread_time()
        try:
            return super()._next_trial()
        finally:
            self.asked.append((time.time(), time.thread_time() - used))

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


def host(url: str, folder: Path, size: int) -> None:
    """Run the workers that are at work until a file says that it is over; write what they saw."""
    # Five times a second is too often for many in a process.
    sweeper_loop.COLLECT_SECONDS = 1.0
    opened, locks = _connect(url), _connect(url)
    whole = get_storage(opened)
    curves = get_storage(opened.only_curves(NOTES, of_unfinished=False))
    study = optuna.load_study(study_name=NAME, storage=whole)
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    n = min(size, AT_WORK)
    mine = [running[(2 * i + 1) * size // (2 * n)] for i in range(n)]
    curves.get_all_trials(study._study_id, deepcopy=False)
    workers = [
        Worker(as_worker(whole, True), as_worker(curves, False), locks, url, trial, i)
        for i, trial in enumerate(mine)
    ]
    starting = ThreadPoolExecutor(len(workers))
    for one in workers:
        threading.Thread(target=one.run, args=(starting,), daemon=True).start()
    while not all(one.jobs.reports for one in workers):
        time.sleep(0.1)
    (folder / "ready").touch()
    while not (folder / "over").exists():
        time.sleep(0.1)
    seen = {
        "asked": [each for one in workers for each in one.loop.asked],
        "lock": [each for one in workers for each in one.lock.times],
        "reports": [each for one in workers for each in one.jobs.reports],
    }
    (folder / "seen.json").write_text(json.dumps(seen))
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
        trial: FrozenTrial,
        seed: int,
    ) -> None:
        self._trial = trial
        tpe = optuna.samplers.TPESampler(
            seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=10
        )
        study = optuna.load_study(study_name=NAME, storage=whole, sampler=windowed(tpe, 1000))
        pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2)
        of_job = optuna.load_study(study_name=NAME, storage=whole, pruner=pruner)
        self.jobs = Replayed(of_job, curves, TRIAL_SECONDS)
        self.lock = TimedLock(lambda: creation_lock(url, locks, NAME))
        budget = Budget(n_trials=10**6, n_jobs=1)
        self.loop = TimedLoop(
            study,
            SearchSpace(branches={(): Branch(SPACE)}),
            self.jobs,
            budget,
            make_display(study, budget, Console(file=io.StringIO())),
            lock=lambda: study_lock(url, locks, NAME),
            creation_lock=self.lock,
            heartbeat=HEARTBEAT,
            reuse=False,
        )
        self.loop.asked = []
        # As if it were on a machine of its own.
        self.loop._asker.me = trial.user_attrs["owner"]

    def run(self, starting: ThreadPoolExecutor) -> None:
        """Go on with a trial that runs, and then with others."""
        # Nearly the best, as what is proposed by then.
        reported = len(self._trial.intermediate_values)
        first = min(reported, STEPS - 1)
        pause = TRIAL_SECONDS / STEPS * (self._trial.number % 7 / 7)
        job = starting.submit(self.jobs.replay, self._trial.number, 0.89, first, pause)
        self.loop.adopt(self._trial, job)
        self.loop.run()


def owner(index: int) -> dict[str, Any]:
    """Return the owner of a worker's trials."""
    place = f"worker {index}"
    return {"host": place, "place": place, "pid": index, "started": 0.0}


def main(seconds: float = SECONDS, *sizes: str) -> None:
    """Print a line for each size."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}")
    columns = ("workers", "finished", "ask", "create", "report", "server", "trials/s")
    print("".join(f"{name:>10}" for name in (*columns, "asked", "reports")), flush=True)
    for word in sizes or SIZES:
        size, _, finished = word.partition(":")
        with server(connections=2 * CONNECTIONS + 20) as url:
            database = new_database(url)
            prefill(database, NAME, int(finished or 1000))
            steps = [STEPS * index // int(size) for index in range(int(size))]
            running = [(owner(index), done) for index, done in enumerate(steps)]
            prefill(database, NAME, int(size), seed=1, running=running)
            open_storage.cache_clear()
            print(_row(int(size), int(finished or 1000), database, seconds), flush=True)


def _row(size: int, finished: int, url: str, seconds: float) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = multiprocessing.get_context("fork").Process(target=host, args=(url, folder, size))
        process.start()
        while not (folder / "ready").exists():
            if not process.is_alive():
                raise SystemExit("the workers were lost")
            time.sleep(0.1)
        began, used = time.time(), _server_seconds(url)
        time.sleep(seconds)
        used = _server_seconds(url) - used
        (folder / "over").touch()
        process.join()
        seen = json.loads((folder / "seen.json").read_text())
    of_time = {key: [cpu for at, cpu in each if at > began] for key, each in seen.items()}
    asked, reports = len(of_time["asked"]), len(of_time["reports"])
    # As many reports as belong to a trial, whatever it was in the middle of.
    a_trial = 1000 * used / max(1.0, reports / STEPS)
    numbers = (
        *(1000 * _median(of_time[key]) for key in ("asked", "lock", "reports")),
        *(a_trial, 1000 / a_trial, asked, reports),
    )
    return f"{size:10,}{finished:10,}" + "".join(f"{number:10.1f}" for number in numbers)


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
