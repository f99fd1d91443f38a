"""The one exception for mistakes that a user can mend, and what is told of any other in a line."""

import contextlib
import errno
import sys
from collections.abc import Iterator

from hydra.errors import CompactHydraException

# Error numbers of a disk, or of a user's share of it, that is full.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class UserError(CompactHydraException):
    """A wrong value or a missing thing; the message names the key and what to do.

    Hydra prints such an exception as its message alone, without a traceback.
    """


def first_line(error: BaseException) -> str:
    """Return the first line of what an exception says, or its kind where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@contextlib.contextmanager
def told_in_one_line() -> Iterator[None]:
    """End the program with the message alone; inside a job Hydra would print a traceback."""
    try:
        yield
    except CompactHydraException as error:
        sys.exit(str(error))
