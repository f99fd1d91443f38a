"""A storage that does not answer: waited for, as a night is long and a server restarts."""

import logging
import time

from src.sweep.errors import SweepError

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
            SweepError: the storage has been away for `PATIENCE` seconds.
        """
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        now = time.monotonic()
        if self._since is None:
            self._since = now
        if now - self._since > PATIENCE:
            raise SweepError(
                f"storage: no answer for {PATIENCE / 60:g} minutes ({reason}); nothing that is "
                "finished is lost, the same command goes on when it is back"
            ) from error
        log.warning("storage: %s; trying again", reason)
        time.sleep(PAUSE)
