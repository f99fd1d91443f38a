"""A storage that does not answer: waited for, as a night is long and a server restarts."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import InterfaceError, OperationalError

from doctune.errors import UserError, first_line

log = logging.getLogger(__name__)

# How storages tell that they do not answer; a connection that is cut in the middle of a
# transaction comes as SQLAlchemy's own error.
AWAY = (StorageInternalError, OperationalError, InterfaceError)
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
        self._is_read_only = False
        # A job's heart beats in a thread of its own.
        self._noting = threading.Lock()

    def is_over(self) -> None:
        """Note that the storage has answered."""
        with self._noting:
            was_away, self._since = self._since is not None, None
        if was_away:
            self._say("storage: it answers again")

    def wait(self, error: Exception) -> None:
        """Wait a little before the next attempt.

        Raises:
            UserError: the storage has been away for `PATIENCE` seconds.
        """
        reason = reason_of(error)
        now = time.monotonic()
        with self._noting:
            is_first = self._since is None
            since = self._since = now if self._since is None else self._since
        if is_first:
            self._say(
                f"storage: it does not answer ({reason}); trying again for {PATIENCE / 60:g} "
                "minutes, Ctrl-C ends the search"
            )
        if now - since > PATIENCE:
            raise UserError(
                f"storage: no answer for {PATIENCE / 60:g} minutes ({reason}); nothing that is "
                "finished is lost, the same command goes on when it is back"
            ) from error
        log.warning("storage: %s; trying again", reason)
        time.sleep(PAUSE)

    def cannot_write(self, error: Exception) -> None:
        """Tell once that nothing can be written, unless it is known to be away.

        With a full disk a search reads as before, while its trials wait to report.
        """
        with self._noting:
            is_news = self._since is None and not self._is_read_only
            self._is_read_only = self._is_read_only or is_news
        if is_news:
            self._say(
                f"storage: nothing can be written ({reason_of(error)}); trials wait for it, for "
                f"{PATIENCE / 60:g} minutes, Ctrl-C ends the search"
            )

    def can_write(self) -> None:
        """Note that something was written."""
        with self._noting:
            was_read_only, self._is_read_only = self._is_read_only, False
        if was_read_only:
            self._say("storage: it can be written again")


@contextlib.contextmanager
def told_if_away(say: Callable[[str], None], what: str) -> Iterator[None]:
    """Go on without the storage where a search ends while it is away.

    Args:
        say: tells the user.
        what: is the case then.
    """
    try:
        yield
    except AWAY as error:
        say(f"{what}: the storage does not answer ({reason_of(error)})")


def reason_of(error: Exception) -> str:
    """Return in a line why a storage does not answer."""
    return first_line(error.__cause__ or error)
