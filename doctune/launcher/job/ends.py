"""What a job's task has come to, told in the job's own process to whoever has asked for it there.

The search is told by its launcher, if it still runs.
"""

from collections.abc import Callable
from typing import Any

# What the task has returned, None where it has raised; and what it has raised.
AtEnd = Callable[[Any, Exception | None], None]
# Of the job that runs in this process.
_asked: list[AtEnd] = []


def ask_for_end(call: AtEnd) -> None:
    """Have a function called when the task of this job is over, in place of one that was before."""
    _asked[:] = [call]


def forget() -> None:
    """Leave nothing of an earlier job that ran in this process."""
    _asked.clear()


def tell_end(returned: Any, error: Exception | None) -> None:
    """Call what was asked to be, once."""
    while _asked:
        _asked.pop()(returned, error)
