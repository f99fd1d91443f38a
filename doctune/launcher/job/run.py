"""Jobs of a Hydra sweep, run in another process: what it is given for it, and how it runs one.

Also the errors after which a GPU cannot be used any more by the process that met them.
"""

import logging
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cloudpickle
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import open_dict
from omegaconf.basecontainer import BaseContainer

from doctune import is_of_search
from doctune.launcher.job.composing import JobComposer, Templates
from doctune.launcher.job.config import SharedConfig, for_one_job
from doctune.launcher.job.family import left_by_job
from doctune.launcher.job.portable import failed, portable

log = logging.getLogger(__name__)
# Parts of the messages of CUDA, ROCm and their libraries.
MARKS = ("cuda error", "hip error", "cublas_status", "cudnn_status", "cusolver_status", "nccl")


@dataclass(frozen=True)
class JobRunner:
    """Runs the jobs of a sweep, one after the other, in the process that it is in.

    Attributes:
        hydra_context: of the sweep.
        task_function: of the app.
        composer: of the sweep's jobs.
    """

    hydra_context: HydraContext
    task_function: TaskFunction
    composer: JobComposer

    def run(self, overrides: Sequence[str], number: int, job_id: str | None = None) -> JobReturn:
        """Compose the job's config and run the task function in its own directory.

        Whatever goes wrong, in the task or around it, is in what is returned.

        Args:
            overrides: the job's.
            number: of its trial, which its directory is called.
            job_id: what a scheduler calls the job.
        """
        try:
            return self._run(overrides, number, job_id)
        except BaseException as error:
            return failed(error)

    def run_beside(
        self, overrides: Sequence[str], number: int, job_id: str | None = None
    ) -> JobReturn:
        """Run a job as `run` does in a process that runs others as well.

        What it has started and left is in what is returned, as `processes_left`.
        """
        job = self.run(overrides, number, job_id)
        left = left_by_job()
        if left:
            log.warning("processes that are left when the job is over: %s", ", ".join(left))
            # For whoever launched it to tell.
            job.processes_left = left  # type: ignore[attr-defined]
        return job

    def _run(self, overrides: Sequence[str], number: int, job_id: str | None) -> JobReturn:
        job: Any = self.composer.compose(overrides)
        with open_dict(job):
            job.hydra.job.id = job_id or f"{job.hydra.job.name}_{number}"
            job.hydra.job.num = number
        is_trial = is_of_search(job.hydra)
        # Which takes note of the config itself, for `HydraConfig`.
        done = run_job(
            hydra_context=self.hydra_context,
            config=for_one_job(job),
            task_function=self.task_function,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        if is_trial:
            # The search has both; to write and to read them took a third of a short trial.
            done.cfg = done.hydra_cfg = None
        return done


class JobContext:
    """What every job of a sweep has in common, as a picture that crosses processes.

    The task function is usually defined in `__main__`, which has another meaning in a worker;
    cloudpickle therefore carries it by value.

    Args:
        picture: pickled.
        templates: of jobs' configs, which need not be composed again.

    Attributes:
        composer: whose templates go along, as they are when the context is sent; None: those that
            it was made with.
    """

    def __init__(self, picture: bytes, templates: Templates | None = None) -> None:
        self._picture = picture
        self._templates = templates or {}
        self.composer: JobComposer | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Send the picture, with what is composed by now."""
        templates = self._templates if self.composer is None else self.composer.templates
        return type(self), (self._picture, templates)

    @classmethod
    def capture(cls, launcher: Any) -> "JobContext":
        """Take the picture in the process that sweeps.

        Args:
            launcher: of Hydra's, set up: it has `hydra_context`, `task_function` and `config`.
        """
        task = portable(launcher.task_function)
        # As `Singleton.get_state`, which copies it all before, three quarters of what this takes.
        instances = {kind: one for kind, one in Singleton._instances.items() if kind is not Plugins}
        state = {"instances": instances, "omegaconf_resolvers": BaseContainer._resolvers}
        return cls(cloudpickle.dumps((launcher.hydra_context, task, launcher.config, state)))

    def restore(self) -> JobRunner:
        """Bring Hydra into the same state in the worker."""
        setup_globals()
        hydra_context, task_function, config, state = pickle.loads(self._picture)
        Singleton.set_state(state)
        SharedConfig.install()
        composer = JobComposer(hydra_context.config_loader, config, self._templates)
        return JobRunner(hydra_context, task_function, composer)


def is_device_error(error: BaseException) -> bool:
    """Tell whether a device failed; running out of its memory is no such failure."""
    told = f"{type(error).__name__} {error}".lower()
    if "out of memory" in told or "outofmemory" in told or "alloc_failed" in told:
        return False
    return any(mark in told for mark in MARKS) or "acceleratorerror" in told
