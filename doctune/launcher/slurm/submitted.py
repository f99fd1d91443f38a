"""Jobs of hydra-submitit-launcher, on Slurm or beside this process, that can be looked after.

The launcher itself hands a job over and waits for its result, which nobody can break off. Here the
same executor is given the same parameters and another function, and jobs are cancelled, their
states are told, and one that reaches its time limit says so. A job runs one trial: those of several
tasks, which begin and end together. Others serve many (`doctune/launcher/slurm/served.py`).
"""

import threading
import time
from typing import Any

from hydra.core.utils import JobReturn

from doctune.launcher.job.numbered import NumberedJobs
from doctune.launcher.job.run import JobContext
from doctune.launcher.slurm.scheduler import (
    SUBMIT_SECONDS,
    JobLostError,
    JobRefusedError,
    Scheduler,
    has_result,
    last_words,
    read,
)
from doctune.launcher.slurm.states import OUT_OF_TIME, UNKNOWN, WAITING
from doctune.launcher.slurm.submission import JobTimeError, Submission

# How often a job's result is looked for, in seconds.
LOOK_SECONDS = 0.5


class SubmittedJobs(NumberedJobs):
    """Runs the jobs of a submitit launcher.

    `launch` raises a `JobLostError` where one has ended without a result, a `JobTimeError` where it
    was not done in time, and a `JobRefusedError` where it cannot ever start.

    Args:
        launcher: of hydra-submitit-launcher, set up.

    Raises:
        UserError: this machine cannot hand jobs to Slurm.
    """

    def __init__(self, launcher: Any) -> None:
        super().__init__()
        self._scheduler = Scheduler(launcher)
        self._submission = Submission(JobContext.capture(launcher), self._scheduler.minutes)
        self._submitting = threading.Lock()
        # By the numbers of the trials.
        self._jobs: dict[int, Any] = {}

    def waits(self, number: int) -> bool:
        """Ask now whether a job waits; one that is not handed over yet does."""
        job = self._jobs.get(number)
        return job is None or self._scheduler.state(job, now=True) in WAITING

    def cancel(self, number: int) -> None:
        """End a job, whose `launch` raises."""
        self._cancelled.add(number)
        job = self._jobs.get(number)
        if job is not None:
            self._scheduler.end([job])

    def close(self) -> None:
        """End all jobs, those that wait among them."""
        self._closed.set()
        # Whoever hands a job over now tells of it first, or it would stay in the queue.
        is_held = self._submitting.acquire(timeout=SUBMIT_SECONDS)
        try:
            self._scheduler.end(list(self._jobs.values()))
        finally:
            if is_held:
                self._submitting.release()

    def _run(self, overrides: list[str], number: int) -> JobReturn:
        with self._submitting:
            self._check_wanted(number)
            job = self._scheduler.submit(self._submission, overrides, number)
            self._jobs[number] = job
        try:
            if self._closed.is_set() or number in self._cancelled:
                self._scheduler.end([job])
            return self._wait(job, number)
        finally:
            self._scheduler.forget(job)
            del self._jobs[number]
            self._began.pop(number, None)
            self._cancelled.discard(number)

    def _wait(self, job: Any, number: int) -> JobReturn:
        while not has_result(job):
            self._check_wanted(number)
            state = self._scheduler.state(job)
            if self._scheduler.is_over(state):
                self._wait_for_result(job, state)
                break
            if state in WAITING:
                # Perhaps once more.
                self._began.pop(number, None)
                reason = self._scheduler.why_never(job)
                if reason is not None:
                    self._scheduler.end([job])
                    raise JobRefusedError(reason)
            elif state != UNKNOWN:
                self._began.setdefault(number, time.monotonic())
            self._closed.wait(LOOK_SECONDS)
        returned: JobReturn = read(job)
        return returned

    def _wait_for_result(self, job: Any, state: str) -> None:
        end = time.monotonic() + self._scheduler.result_seconds(state)
        while not has_result(job):
            if time.monotonic() > end:
                if state in OUT_OF_TIME:
                    raise JobTimeError(self._submission.minutes)
                raise JobLostError(
                    f"job {job.job_id} ended without a result: {state}{last_words(job)}"
                )
            time.sleep(LOOK_SECONDS)
