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
    """Counts how long the storage has been away."""

    def __init__(self) -> None:
        self._since: float | None = None

    def is_over(self) -> None:
        """Note that the storage has answered."""
        self._since = None

    def wait(self, error: Exception) -> None:
        """Wait a little before the next attempt.

        Raises:
            UserError: the storage has been away for `PATIENCE` seconds.
        """
        reason = _reason(error)
        now = time.monotonic()
        if self._since is None:
            self._since = now
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
        say(f"{what}: the storage does not answer ({_reason(error)})")


def _reason(error: Exception) -> str:
    return str(error.__cause__ or error).strip().splitlines()[0]
