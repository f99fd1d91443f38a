"""What the tests have workers do, in place of Hydra jobs."""

import os
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from tests.waiting import wait_until


class NoHydra:
    """Stands for the picture of Hydra's state that workers get."""

    def restore(self) -> tuple[None, None, None]:
        return None, None, None


def work(words: list[str], number: int) -> JobReturn:
    """Return the id of this process, once the file that is named exists."""
    for word in words:
        wait_until(Path(word).exists)
    return job(os.getpid())


def job(value: Any) -> JobReturn:
    return JobReturn(status=JobStatus.COMPLETED, _return_value=value)
