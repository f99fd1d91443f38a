"""One worker of the fleet: the sweeper's own loop, and jobs that sleep and report a curve."""

import io
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import optuna
from hydra.core.utils import JobReturn, JobStatus
from optuna.storages import get_storage
from optuna.trial import FrozenTrial
from rich.console import Console
from sqlalchemy import Engine
from sqlalchemy.orm import scoped_session, sessionmaker

from doctune.space.search_space import Branch, SearchSpace
from doctune.study.budget import Budget
from doctune.study.lock import creation_lock, study_lock
from doctune.study.tables import TableStorage
from doctune.study.window import windowed
from doctune.sweeper.display import make_display
from doctune.sweeper.loop import AsyncLoop
from doctune.sweeper.telling import InFlight
from doctune.trial import RunningTrial
from tests.benchmarks.prefilled import SPACE, STEPS, curve, score

# Seconds between signs of life; those that are not at work show none for six times as long.
HEARTBEAT = 60.0
NAME = "fleet"

# What has been read of finished trials, whoever has read it; they never change.
_known: dict[tuple[bool, int], FrozenTrial] = {}


# When it was over, and the seconds that it took of the thread's processor time and by the clock.
Taken = tuple[float, float, float]


@contextmanager
def timed(found: list[Taken]) -> Iterator[None]:
    """Note what is done here."""
    used, began = time.thread_time(), time.perf_counter()
    try:
        yield
    finally:
        took = time.perf_counter() - began
        found.append((time.time(), time.thread_time() - used, took))


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
        self.reports: list[Taken] = []

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
            with timed(self.reports):
                trial.report(value, step, f"epoch {step + 1}/{STEPS}")
                reason = trial.reason_to_stop()
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
    """A lock, with what was taken while it was held."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self.times: list[Taken] = []

    def __call__(self) -> AbstractContextManager[None]:
        """Return the lock, to be used once."""
        return self._timed()

    @contextmanager
    def _timed(self) -> Iterator[None]:
        with self._lock(), timed(self.times):
            yield


class TimedLoop(AsyncLoop):
    """The sweeper's loop, with what each question for a trial takes."""

    asked: list[Taken]

    def _next_trial(self) -> optuna.Trial | None:
        with timed(self.asked):
            return super()._next_trial()

    def adopt(self, trial: FrozenTrial, job: "Future[JobReturn]") -> None:
        """Take over a trial that runs."""
        self._in_flight[job] = InFlight(optuna.Trial(self._study, trial._trial_id))
        self._heartbeat.add(trial._trial_id)


def as_worker(opened: Any, kept: bool, engine: Engine | None = None) -> Any:
    """Return a storage with a cache of its own, that knows what this process has read so far.

    Args:
        opened: of the process.
        kept: whether it is the loop's, which keeps parameters and notes; jobs keep curves.
        engine: connects it; None: as the process.
    """
    backend = object.__new__(_Shared)
    backend.__dict__.update(opened._backend.__dict__)
    backend.kept = kept
    if engine is not None:
        backend.engine = engine
        backend.scoped_session = scoped_session(sessionmaker(bind=engine))
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


class Worker:
    """One worker of the fleet.

    Args:
        whole: the study's storage, as its loop reads it.
        curves: the same, as its jobs read it.
        locks: connects it to the study's lock.
        url: of the storage.
        trial: that it goes on with.
        seconds: of a trial.
    """

    def __init__(
        self, whole: Any, curves: Any, locks: Any, url: str, trial: FrozenTrial, seconds: float
    ) -> None:
        self._trial, self._seconds = trial, seconds
        seed = trial.number
        tpe = optuna.samplers.TPESampler(
            seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=10
        )
        study = optuna.load_study(study_name=NAME, storage=whole, sampler=windowed(tpe, 1000))
        pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2)
        of_job = optuna.load_study(study_name=NAME, storage=whole, pruner=pruner)
        self.jobs = Replayed(of_job, curves, seconds)
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
        pause = self._seconds / STEPS * (self._trial.number % 7 / 7)
        job = starting.submit(self.jobs.replay, self._trial.number, 0.89, first, pause)
        self.loop.adopt(self._trial, job)
        self.loop.run()
