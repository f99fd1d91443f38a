"""Jobs of hydra-submitit-launcher, on Slurm or beside this process, that can be looked after.

The launcher itself hands a job over and waits for its result, which nobody can break off. Here the
same executor is given the same parameters and another function, and jobs are cancelled, their
states are told, and one that reaches its time limit says so.
"""

import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import psutil
from hydra.core.utils import JobReturn

from doctune.errors import UserError
from doctune.launcher.family import descendants, end_all
from doctune.launcher.job import JobContext
from doctune.launcher.slurm_states import (
    FORGOTTEN,
    OUT_OF_TIME,
    OVER,
    UNKNOWN,
    WAITING,
    SlurmStates,
    cancel,
)
from doctune.launcher.submission import JobTimeError, Submission, make_executor

log = logging.getLogger(__name__)

# How often a job's result is looked for, in seconds.
LOOK_SECONDS = 0.5
# How long a network folder may take to show the result of a job that has ended well, or otherwise.
RESULT_SECONDS = {"COMPLETED": 15.0}
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


class SubmittedJobs:
    """Runs the jobs of a submitit launcher, one at a time from each of several threads.

    Args:
        launcher: of hydra-submitit-launcher, set up.

    Raises:
        UserError: this machine cannot hand jobs to Slurm.
    """

    def __init__(self, launcher: Any) -> None:
        self._launcher = launcher
        self._kind = str(launcher._EXECUTOR)
        if self._kind == "slurm" and not (shutil.which("sbatch") and shutil.which("srun")):
            raise UserError(
                "hydra/launcher=submitit_slurm: there is no sbatch here; start the search on a "
                "machine of the cluster"
            )
        self._submission = Submission(
            JobContext.capture(launcher.hydra_context, launcher.task_function, launcher.config),
            float(launcher.params.get("timeout_min") or 0),
        )
        self._executor: Any = None
        self._submitting = threading.Lock()
        # By the numbers of the trials.
        self._jobs: dict[int, Any] = {}
        self._began: dict[int, float] = {}
        self._cancelled: set[int] = set()
        self._closed = threading.Event()
        self._states = SlurmStates()

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run jobs and wait for them.

        Raises:
            JobLostError: one ended without a result.
            JobTimeError: one was not done in time.
            JobRefusedError: one cannot ever start.
            concurrent.futures.CancelledError: one was cancelled, or all were.
        """
        return [
            self._run(list(words), initial_job_idx + i) for i, words in enumerate(job_overrides)
        ]

    def began(self, number: int) -> float | None:
        """Return when a job was first seen to run, by the monotonic clock; None while it waits."""
        return self._began.get(number)

    def waits(self, number: int) -> bool:
        """Ask now whether a job waits; one that is not handed over yet does."""
        job = self._jobs.get(number)
        if job is None or self._kind != "slurm":
            return job is None
        return self._states.state(job.job_id, now=True) in WAITING

    def cancel(self, number: int) -> None:
        """End a job, whose `launch` raises."""
        self._cancelled.add(number)
        job = self._jobs.get(number)
        if job is not None:
            self._end([job])

    def close(self) -> None:
        """End all jobs, those that wait among them."""
        self._closed.set()
        # Whoever hands a job over now tells of it first, or it would stay in the queue.
        is_held = self._submitting.acquire(timeout=SUBMIT_SECONDS)
        try:
            self._end(list(self._jobs.values()))
        finally:
            if is_held:
                self._submitting.release()

    def _run(self, overrides: list[str], number: int) -> JobReturn:
        with self._submitting:
            self._check_wanted(number)
            if self._executor is None:
                self._executor = make_executor(self._launcher.params, self._kind)
            job = self._executor.submit(self._submission, overrides, number)
            self._jobs[number] = job
        self._states.add(job.job_id)
        try:
            if self._closed.is_set() or number in self._cancelled:
                self._end([job])
            return self._wait(job, number)
        finally:
            self._states.remove(job.job_id)
            del self._jobs[number]
            self._began.pop(number, None)
            self._cancelled.discard(number)

    def _check_wanted(self, number: int) -> None:
        if self._closed.is_set() or number in self._cancelled:
            raise CancelledError

    def _wait(self, job: Any, number: int) -> JobReturn:
        while not _has_result(job):
            self._check_wanted(number)
            state = self._state(job)
            if state in (*OVER, FORGOTTEN):
                self._wait_for_result(job, state)
                break
            if state in WAITING:
                # Perhaps once more.
                self._began.pop(number, None)
                reason = self._states.why_never(job.job_id)
                if reason is not None:
                    self._end([job])
                    raise JobRefusedError(reason)
            elif state != UNKNOWN:
                self._began.setdefault(number, time.monotonic())
            self._closed.wait(LOOK_SECONDS)
        return _read(job)

    def _wait_for_result(self, job: Any, state: str) -> None:
        end = time.monotonic() + RESULT_SECONDS.get(state, OTHERWISE)
        while not _has_result(job):
            if time.monotonic() > end:
                if state in OUT_OF_TIME:
                    raise JobTimeError(self._submission.minutes)
                raise JobLostError(
                    f"job {job.job_id} ended without a result: {state}{_last_words(job)}"
                )
            time.sleep(LOOK_SECONDS)

    def _state(self, job: Any) -> str:
        if self._kind == "slurm":
            return self._states.state(job.job_id)
        code = job._process.poll()
        if code is None:
            return "RUNNING"
        return "COMPLETED" if code == 0 else f"FAILED with {code}"

    def _end(self, jobs: Sequence[Any]) -> None:
        if self._kind == "slurm":
            cancel([job.job_id for job in jobs])
            return
        for job in jobs:
            # Without a signal that its controller would answer at leisure.
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(job._process.pid)
                end_all([process, *descendants(process.pid)])


def _has_result(job: Any) -> bool:
    folder: Path = job.paths.folder
    # Network folders show what is new in one that was touched.
    with contextlib.suppress(OSError):
        folder.chmod(folder.stat().st_mode)
    return bool(job.paths.result_pickle.exists())


def _read(job: Any) -> JobReturn:
    from submitit.core.utils import pickle_load

    outcome, result = pickle_load(job.paths.result_pickle)
    if outcome != "success":
        lines = str(result).strip().splitlines()
        raise JobLostError(f"job {job.job_id} ended in front of its task: {lines[-1]}")
    job_return: JobReturn = result
    return job_return


def _last_words(job: Any) -> str:
    """Return what a job has said last, and where all of it is."""
    path: Path = job.paths.stderr if job.paths.stderr.exists() else job.paths.stdout
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    said = f", {lines[-1].strip()[:200]}" if lines else ""
    return f"{said} ({path})"
