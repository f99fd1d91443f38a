"""Faults that may be gone the next time: such a trial is tried again (`optuna.retries`).

A worker that died (killed by the kernel for memory, by a scheduler, by hand), a device whose
driver gave up, a connection that was lost. An error of the task's own code, running out of GPU
memory, a full disk and a trial that took too long would only happen again.
"""

from concurrent.futures import BrokenExecutor

from optuna.exceptions import StorageInternalError

from src.launch.device_error import is_device_error

TYPES: tuple[type[BaseException], ...] = (
    BrokenExecutor,
    ConnectionError,
    EOFError,
    StorageInternalError,
)
# By name, as their packages need not be installed: pebble, joblib and Ray.
NAMES = (
    "ProcessExpired",
    "TerminatedWorkerError",
    "WorkerCrashedError",
    "NodeDiedError",
    "RayActorError",
    # submitit: the job ended without a result, or Slurm gave its node to somebody else.
    "UncompletedJobError",
)


def is_transient(error: BaseException) -> bool:
    """Tell whether trying the same again makes sense."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, TYPES) or not kinds.isdisjoint(NAMES) or is_device_error(error)
