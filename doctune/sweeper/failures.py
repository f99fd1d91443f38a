"""What came out of a job: values or an error; which errors pass, and when a sweep is broken.

A trial is tried again (`optuna.retries`) after a fault that may be gone the next time: a worker
that died (killed by the kernel for memory, by a scheduler, by hand), a device whose driver gave
up, a connection that was lost. An error of the task's own code, running out of GPU memory, a full
disk and a trial that took too long would only happen again.
"""

from collections import deque
from concurrent.futures import BrokenExecutor

from hydra.core.utils import JobReturn, JobStatus
from optuna.trial import FrozenTrial, TrialState

from doctune.errors import UserError
from doctune.launcher.job.run import is_device_error
from doctune.shown_keys import shown
from doctune.study.budget import Budget
from doctune.study.outage import AWAY

# Failures are counted over this many trials.
FAILURE_WINDOW = 10
# Faults that may be gone the next time.
PASSING: tuple[type[BaseException], ...] = (
    BrokenExecutor,
    ConnectionError,
    EOFError,
    *AWAY,
)
# The same by name, as their packages need not be installed: pebble, joblib and Ray.
PASSING_BY_NAME = (
    "ProcessExpired",
    "TerminatedWorkerError",
    "WorkerCrashedError",
    "NodeDiedError",
    "RayActorError",
    "LocalRayletDiedError",
    # submitit's jobs, and what it says of them itself where it is used without us.
    "JobLostError",
    "UncompletedJobError",
)


class TrialTimeoutError(Exception):
    """A trial did not end in its time and did not report either, so it was killed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"no end and no report after {shown('trial_timeout')}={seconds:g} s and half as long "
            "again, so it was killed; raise it if trials need longer, else the worker's log shows "
            "where it hung"
        )


class FailureWindow:
    """Stops a sweep that is broken as a whole."""

    def __init__(self, budget: Budget) -> None:
        self._size = min(FAILURE_WINDOW, budget.n_trials)
        self._rate = budget.max_failure_rate
        self._failed: deque[bool] = deque(maxlen=self._size)
        self.last_error: BaseException | None = None

    def add(self, trial: FrozenTrial) -> None:
        """Count a trial that has ended.

        Raises:
            UserError: more of the last trials failed than `max_failure_rate` allows.
        """
        self._failed.append(trial.state is TrialState.FAIL)
        if sum(self._failed) > self._rate * self._size:
            raise UserError(
                f"{sum(self._failed)} of the last {len(self._failed)} trials failed, more than "
                f"{shown('max_failure_rate')}={self._rate:g} allows; the last, trial "
                f"{trial.number} (its folder has its log), with "
                f"{type(self.last_error).__name__}: {self.last_error}"
            )


def error_of(job: JobReturn) -> BaseException | None:
    """Return the error with which a job ended, or None."""
    # `return_value` would print the failure on the screen before raising it.
    failed = job.status is JobStatus.FAILED
    return job._return_value if failed else None


def is_transient(error: BaseException) -> bool:
    """Tell whether trying the same again makes sense."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    passes = isinstance(error, PASSING) or not kinds.isdisjoint(PASSING_BY_NAME)
    return passes or is_device_error(error)
