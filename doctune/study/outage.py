"""A storage that does not answer: waited for, as a night is long and a server restarts."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator

from optuna.exceptions import StorageInternalError

from doctune.errors import UserError

log = logging.getLogger(__name__)

PATIENCE = 600.0
PAUSE = 2.0


class Outage:
    """Counts how long the storage has been away.

    Args:
        say: tells the user of its beginning and its end.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._since: float | None = None

    def is_over(self) -> None:
        """Note that the storage has answered."""
        if self._since is not None:
            self._say("storage: it answers again")
        self._since = None

    def wait(self, error: Exception) -> None:
        """Wait a little before the next attempt.

        Raises:
            UserError: the storage has been away for `PATIENCE` seconds.
        """
        reason = reason_of(error)
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self._say(
                f"storage: it does not answer ({reason}); trying again for {PATIENCE / 60:g} "
                "minutes, Ctrl-C ends the search"
            )
        if now - self._since > PATIENCE:
            raise UserError(
                f"storage: no answer for {PATIENCE / 60:g} minutes ({reason}); nothing that is "
                "finished is lost, the same command goes on when it is back"
            ) from error
        log.warning("storage: %s; trying again", reason)
        time.sleep(PAUSE)


@contextlib.contextmanager
def told_if_away(say: Callable[[str], None], what: str) -> Iterator[None]:
    """Go on without the storage where a search ends while it is away.

    Args:
        say: tells the user.
        what: is the case then.
    """
    try:
        yield
    except StorageInternalError as error:
        say(f"{what}: the storage does not answer ({reason_of(error)})")


def reason_of(error: Exception) -> str:
    """Return in a line why a storage does not answer."""
    return str(error.__cause__ or error).strip().splitlines()[0]
