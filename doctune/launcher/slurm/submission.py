"""What is submitted where a job runs one trial: those of several tasks, which begin together."""

import sys
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from doctune.launcher.job.portable import failed
from doctune.launcher.job.run import JobContext


class JobTimeError(Exception):
    """A job was not done when the time was over that its launcher gives it.

    Args:
        minutes: that it had.
    """

    def __init__(self, minutes: float) -> None:
        super().__init__(f"not done after hydra.launcher.timeout_min={minutes:g}; raise it")
        self._minutes = minutes

    def __reduce__(self) -> tuple[Any, ...]:
        """Make it anew in another process."""
        return type(self), (self._minutes,)


class Submission:
    """What is submitted: runs one job of a sweep in the process that Slurm starts.

    Args:
        context: what all jobs of the sweep have in common.
        minutes: that the launcher gives a job.
    """

    def __init__(self, context: JobContext, minutes: float) -> None:
        self._context = context
        self.minutes = minutes
        self._is_given_back = False

    def __call__(self, overrides: list[str], number: int) -> JobReturn:
        """Run the job; whatever goes wrong is in what is returned."""
        import submitit

        environment = submitit.JobEnvironment()
        job = self._context.restore().run(overrides, number, environment.job_id)
        error = job._return_value if job.status is JobStatus.FAILED else None
        # Raised by submitit's handler of the signal that Slurm sends before the end.
        if type(error).__name__ == "UncompletedJobError":
            return failed(JobTimeError(self.minutes))
        if self._is_given_back:
            # The handler has ended the process for Slurm to start it again, and Hydra took that
            # for the end of the job.
            from submitit.local.local import LOCAL_REQUEUE_RETURN_CODE

            sys.exit(LOCAL_REQUEUE_RETURN_CODE)
        return job

    def checkpoint(self, overrides: list[str], number: int) -> Any:
        """Return the same job again, for submitit to give it back to the queue."""
        import submitit

        self._is_given_back = True
        return submitit.helpers.DelayedSubmission(
            Submission(self._context, self.minutes), overrides, number
        )
