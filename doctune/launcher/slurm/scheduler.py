"""What submitit and its scheduler are asked: to start a job, how it stands, to end it.

The executor is the one that hydra-submitit-launcher would make, of the same parameters.
"""

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from doctune.errors import UserError
from doctune.launcher.job.family import descendants, end_all
from doctune.launcher.slurm.states import (
    FORGOTTEN,
    OVER,
    SlurmStates,
    cancel,
)

# Keys of the launcher that make the executor; all others are parameters of its jobs.
OF_EXECUTOR = ("max_num_timeout", "python")
# How long a network folder may take to show what a job has left that has ended well, or otherwise.
RESULT_SECONDS = 15.0
OTHERWISE = 2.0
# How long a job may take to be handed over, in seconds.
SUBMIT_SECONDS = 10.0


class JobLostError(Exception):
    """A job ended without a result."""


class JobRefusedError(Exception):
    """A job asks for what its partition does not give, and would wait for ever.

    Args:
        reason: Slurm's word for it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"Slurm would never start the job: {reason}; change hydra.launcher.timeout_min, or "
            "other keys of hydra.launcher, to what 'scontrol show partition' allows"
        )


class Scheduler:
    """Slurm, or submitit's own processes beside this one.

    Args:
        launcher: of hydra-submitit-launcher, set up.

    Raises:
        UserError: this machine cannot hand jobs to Slurm.
    """

    def __init__(self, launcher: Any) -> None:
        self._params: dict[str, Any] = dict(launcher.params)
        self._kind = str(launcher._EXECUTOR)
        if self._kind == "slurm" and not (shutil.which("sbatch") and shutil.which("srun")):
            raise UserError(
                "hydra/launcher=submitit_slurm: there is no sbatch here; start the search on a "
                "machine of the cluster"
            )
        self.minutes = float(self._params.get("timeout_min") or 0)
        self._executor: Any = None
        self._states = SlurmStates()

    def submit(self, function: Any, *args: Any) -> Any:
        """Have a function called in a job, and return the job; one thread at a time."""
        if self._executor is None:
            self._executor = make_executor(self._params, self._kind)
        job = self._executor.submit(function, *args)
        self._states.add(job.job_id)
        return job

    def forget(self, job: Any) -> None:
        """Ask no longer how a job stands."""
        self._states.remove(job.job_id)

    def state(self, job: Any, *, now: bool = False) -> str:
        """Return how a job stands in Slurm's words, as of some seconds ago unless `now`."""
        if self._kind == "slurm":
            return self._states.state(job.job_id, now=now)
        code = job._process.poll()
        if code is None:
            return "RUNNING"
        return "COMPLETED" if code == 0 else f"FAILED with {code}"

    def result_seconds(self, state: str) -> float:
        """Return how long what a job has left may be on its way that has ended in that state."""
        return RESULT_SECONDS if state == "COMPLETED" and self._kind == "slurm" else OTHERWISE

    def is_over(self, state: str) -> bool:
        """Tell whether a job in that state has ended."""
        return state in (*OVER, FORGOTTEN) or state.startswith("FAILED")

    def why_never(self, job: Any) -> str | None:
        """Return why a job that waits cannot ever start, in Slurm's own word; None where it may."""
        return self._states.why_never(job.job_id)

    def end(self, jobs: Sequence[Any]) -> None:
        """End jobs, those that wait among them."""
        if self._kind == "slurm":
            cancel([job.job_id for job in jobs])
            return
        for job in jobs:
            # Without a signal that its controller would answer at leisure.
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(job._process.pid)
                end_all([process, *descendants(process.pid)])


def make_executor(params: dict[str, Any], kind: str) -> Any:
    """Return submitit's executor of `kind` as the launcher makes it.

    Args:
        params: the launcher's keys.
        kind: slurm or local.
    """
    import submitit
    from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

    shared = BaseQueueConf.__dataclass_fields__
    of_executor = {f"{kind}_{name}": params[name] for name in OF_EXECUTOR if name in params}
    executor = submitit.AutoExecutor(params["submitit_folder"], cluster=kind, **of_executor)
    executor.update_parameters(
        **{
            name if name in shared else f"{kind}_{name}": value
            for name, value in params.items()
            if name not in ("submitit_folder", *OF_EXECUTOR)
        }
    )
    return executor


def has_result(job: Any) -> bool:
    """Tell whether a job has left what its function returned or raised."""
    folder: Path = job.paths.folder
    # Network folders show what is new in one that was touched.
    with contextlib.suppress(OSError):
        folder.chmod(folder.stat().st_mode)
    return bool(job.paths.result_pickle.exists())


def read(job: Any) -> Any:
    """Return what the function of a job has returned.

    Raises:
        JobLostError: it has raised, or could not be called.
    """
    from submitit.core.utils import pickle_load

    outcome, result = pickle_load(job.paths.result_pickle)
    if outcome != "success":
        lines = str(result).strip().splitlines()
        raise JobLostError(f"job {job.job_id} ended in front of its task: {lines[-1]}")
    return result


def last_words(job: Any) -> str:
    """Return what a job has said last, and where all of it is."""
    path: Path = job.paths.stderr if job.paths.stderr.exists() else job.paths.stdout
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    said = f", {lines[-1].strip()[:200]}" if lines else ""
    return f"{said} ({path})"
