"""What is submitted where a job serves many trials: it takes one after the other from a mailbox.

To start Python and to import torch takes longer than many a trial. A job ends when its time is
nearly over, and the search submits another one; what it was at then goes on there.
"""

import gc
import logging
import signal
import time
from dataclasses import dataclass
from types import FrameType
from typing import Any

import psutil
from hydra.core.utils import JobReturn, JobStatus

from doctune.launcher.job.portable import tellable_end
from doctune.launcher.job.run import JobContext, JobRunner, is_device_error
from doctune.launcher.slurm.mailbox import Mailbox, Trial

log = logging.getLogger(__name__)

# How often the mailbox is looked at, in seconds.
LOOK_SECONDS = 0.2
# A job that has had nothing to do for so long ends, in seconds: its search has no more trials, or
# was killed.
IDLE_SECONDS = 60.0
# submitit's measure of a job that was told to end because its time is over, and not for another
# job: at least this share of its time, or all but so many minutes.
OF_ITS_TIME, LAST_MINUTES = 0.8, 10.0


@dataclass(frozen=True)
class CutOff:
    """What came of a trial whose job was told to end.

    Attributes:
        at_limit: the job's time was over; otherwise it made room for another one.
        is_first: of the trials of the job, so that another job would give it no more time.
    """

    at_limit: bool
    is_first: bool


class JobToEndError(BaseException):
    """The scheduler has told the job to end; no `Exception`, as apps catch those and go on."""


class Serving:
    """Serves trials in the process that Slurm starts.

    Args:
        context: what all jobs of the sweep have in common.
        mailbox: has the trials.
        minutes: that the launcher gives a job.
        first: the number of the trial that it was submitted for; None: any.
    """

    def __init__(
        self, context: JobContext, mailbox: Mailbox, minutes: float, first: int | None = None
    ) -> None:
        self._context, self._mailbox, self._minutes = context, mailbox, minutes
        self._first = first
        self._served = 0
        # The longest trial, in seconds.
        self._longest = 0.0
        self._is_told = False
        self._runs = False
        self._is_broken = False

    def __call__(self) -> int:
        """Serve until the time is nearly over; return how many trials were run."""
        import submitit

        environment = submitit.JobEnvironment()
        self._job_id = environment.job_id
        self._began = psutil.Process().create_time()
        # In place of submitit's own handler, which knows of one function a job.
        signal.signal(environment._usr_sig(), self._tell)
        runner = self._context.restore()
        # What was imported stays.
        gc.freeze()
        # Of this job, if Slurm has started it anew.
        begun = self._mailbox.taken_before(self._job_id)
        idle_since = time.monotonic()
        while not (self._is_told or self._is_broken) and self._has_time():
            trial = begun.pop(0) if begun else self._take()
            if trial is not None:
                self._serve(runner, trial)
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > IDLE_SECONDS:
                break
            else:
                time.sleep(LOOK_SECONDS)
        return self._served

    def _take(self) -> Trial | None:
        if self._first is not None:
            first, self._first = self._first, None
            trial = self._mailbox.take_kept(self._job_id, first)
            if trial is not None:
                return trial
        return self._mailbox.take(self._job_id)

    def _serve(self, runner: JobRunner, trial: Trial) -> None:
        log.info("trial %d", trial.number)
        began = time.monotonic()
        came: Any = None
        try:
            self._runs = True
            if not self._is_told:
                came = runner.run_beside(trial.overrides, trial.number, self._job_id)
        except JobToEndError:
            # In the moment before it began, or after it was over.
            pass
        finally:
            self._runs = False
        if self._is_told and not _has_ended(came):
            came = CutOff(self._is_at_limit(), is_first=self._served == 0)
        else:
            self._is_broken = came.status is JobStatus.FAILED and is_device_error(
                came._return_value
            )
            came = tellable_end(came)
        self._mailbox.end(trial, self._job_id, came)
        self._served += 1
        self._longest = max(self._longest, time.monotonic() - began)

    def _has_time(self) -> bool:
        """Tell whether a trial would be done in time, as long as the longest so far."""
        return self._served == 0 or self._longest < 60 * self._minutes - self._age()

    def _age(self) -> float:
        """Return how old the job is, in seconds."""
        return time.time() - self._began

    def _is_at_limit(self) -> bool:
        whole = self._minutes
        return self._age() / 60 >= min(OF_ITS_TIME * whole, whole - LAST_MINUTES)

    def _tell(self, signum: int, frame: FrameType | None) -> None:
        """Take the signal that comes before a job's end."""
        self._is_told = True
        if self._runs:
            raise JobToEndError


def _has_ended(came: JobReturn | None) -> bool:
    """Tell whether a trial came to its own end though its job was told to end."""
    if came is None:
        return False
    if came.status is JobStatus.COMPLETED:
        return True
    # By name, as jobs of apps without Optuna are served as well.
    return any(kind.__name__ == "TrialPruned" for kind in type(came._return_value).__mro__)
