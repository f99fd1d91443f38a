"""Jobs by their numbers, asked for one at a time from each of several threads."""

import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError

from hydra.core.utils import JobReturn


class NumberedJobs:
    """What is known of such jobs, however one is run: which have begun, and which nobody wants."""

    def __init__(self) -> None:
        # By the numbers of the trials.
        self._began: dict[int, float] = {}
        self._cancelled: set[int] = set()
        self._closed = threading.Event()

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run jobs and wait for them.

        Raises:
            concurrent.futures.CancelledError: one was cancelled, or all were.
            Exception: one was lost.
        """
        return [
            self._run(list(words), initial_job_idx + i) for i, words in enumerate(job_overrides)
        ]

    def began(self, number: int) -> float | None:
        """Return when a job was seen to begin, by the monotonic clock; None while it waits."""
        return self._began.get(number)

    def _run(self, overrides: list[str], number: int) -> JobReturn:
        raise NotImplementedError

    def _check_wanted(self, number: int) -> None:
        if self._closed.is_set() or number in self._cancelled:
            raise CancelledError
