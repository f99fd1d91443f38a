"""A job's end, however it comes, as something that another process can be told.

Hydra hands on errors that cannot be pickled; a `SystemExit`, what is returned and cannot be
pickled, and a tensor on a device it does not, and launchers then wait for ever, or take the job
for lost.
"""

import pickle
from typing import Any

import cloudpickle
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import TaskFunction
from omegaconf import DictConfig

from doctune.launcher.job import ends


class JobEndedError(Exception):
    """A job ended its process, or meant to."""


class PortableTask:
    """A task function that returns or raises only what can be told.

    Args:
        task: the app's own.
    """

    def __init__(self, task: TaskFunction) -> None:
        self._task = task

    def __call__(self, config: DictConfig) -> Any:
        """Run the task.

        Raises:
            JobEndedError: it ended with `sys.exit`, or with another error that is no `Exception`.
            TypeError: what it returned cannot be told.
        """
        ends.forget()
        try:
            returned = tellable(self._task(config))
        except Exception as error:
            ends.tell_end(None, error)
            raise
        except BaseException as error:
            raise JobEndedError(how_it_ended(error)) from error
        ends.tell_end(returned, None)
        return returned


def portable(task: TaskFunction) -> "PortableTask":
    """Return the task as one that returns or raises only what can be told."""
    return task if isinstance(task, PortableTask) else PortableTask(task)


def runs_by_name(launcher: Any) -> bool:
    """Tell whether a launcher finds the task by its name in the process that runs it.

    Args:
        launcher: its config; of joblib's backends `multiprocessing` does.
    """
    return str(launcher.get("backend")) == "multiprocessing"


def tellable(returned: Any) -> Any:
    """Return what a job has returned; numbers of other libraries as numbers.

    Raises:
        TypeError: it cannot be pickled.
    """
    if returned is None or isinstance(returned, (int, float, str)):
        return returned
    if type(returned) in (list, tuple):
        return type(returned)(map(tellable, returned))
    if getattr(returned, "ndim", None) == 0 and hasattr(returned, "item"):
        # A number of NumPy, torch or another such library, which may lie on a device.
        return returned.item()
    try:
        pickle.loads(pickle.dumps(returned))
    except Exception as error:
        raise TypeError(
            f"the job returned a {type(returned).__name__}, which cannot be sent to another "
            f"process ({error}); return numbers"
        ) from error
    return returned


def tellable_end(job: JobReturn) -> JobReturn:
    """Return a job's end as one that another process can read, whatever error it ended with."""
    try:
        pickle.loads(cloudpickle.dumps(job))
    except Exception:
        error = job._return_value
        return failed(JobEndedError(f"the job ended with {type(error).__name__}: {error}"))
    return job


def how_it_ended(error: BaseException) -> str:
    """Say how a job ended that raised what is no `Exception`."""
    if isinstance(error, SystemExit):
        return f"the job ended with sys.exit({error.code!r})"
    told = str(error)
    return f"the job ended with {type(error).__name__}" + (f": {told}" if told else "")


def failed(error: BaseException) -> JobReturn:
    """Return the end of a job that was not run to its end by Hydra."""
    if not isinstance(error, Exception):
        error = JobEndedError(how_it_ended(error))
    return JobReturn(status=JobStatus.FAILED, _return_value=error)
