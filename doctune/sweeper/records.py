"""`search.log`, in the study's folder, and the command line that goes on with the search."""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna

from doctune.commands import shell_word
from doctune.passwords import without_passwords

# What the screen says, for the file alone.
lines = logging.getLogger("search")
lines.propagate = False
# Loggers that keep their handlers when a launcher sets up logging anew, as Hydra's own do before
# and after each job: the root logger loses all that it has.
OURS = (__name__.partition(".")[0], "optuna", lines.name)
# Threads in which a launcher may run a job: what that logs is in the job's own file.
SLOTS = "slot"


@contextlib.contextmanager
def log_to(path: Path) -> Iterator[Callable[[], None]]:
    """Send this process's log, Optuna's included, to a file and keep it off the screen.

    Yields:
        A function to call when a launcher may have set up logging anew.
    """
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    handler = _SearchLog(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in OURS)]
    levels = [logger.level for logger in loggers]

    def keep() -> None:
        for logger in loggers:
            logger.addHandler(handler)
            logger.disabled = False
            if logger.getEffectiveLevel() > logging.INFO:
                logger.setLevel(logging.INFO)

    keep()
    try:
        yield keep
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
        handler.close()


class _SearchLog(logging.FileHandler):
    """Writes each record of the search once, though several loggers hand it on.

    A disk that is full costs the log alone: no stack on the screen for every line of it, and none
    in place of what the search says at its end.
    """

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Lose the record where there is no room for it."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        """Close the file, which writes what is left."""
        with contextlib.suppress(OSError):
            super().close()

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "in_search_log", False):
            return False
        record.in_search_log = True
        if (record.threadName or "").startswith(SLOTS):
            return False
        return bool(super().filter(record))


def shell_command() -> str:
    """Return the command line of this process as one would type it, without passwords."""
    words = (shell_word(without_passwords(word)) for word in sys.orig_argv[1:])
    return " ".join(["python", *words])
