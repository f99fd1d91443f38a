"""What a config from somebody else might do beside calling things, and may not.

Hydra's execution whitelist says what a config can call. Environment variables and log files are
other ways to the same end: a variable can tell git or a compiler what to run, and a log with a
format of one's own can be a script.
"""

import logging
import os
import sys

from hydra.core.hydra_config import HydraConfig

from doctune.errors import UserError


def check_environment() -> None:
    """Refuse variables that the config sets.

    Raises:
        UserError: names them.
    """
    names = list(HydraConfig.get().job.env_set) if HydraConfig.initialized() else []
    if names:
        raise UserError(
            f"hydra.job.env_set: a config may not set {', '.join(names)}, as it can come from "
            "somebody else; set environment variables in the shell"
        )


class LogFile(logging.FileHandler):
    """A log file that is appended to and always called something.log, whatever a config says."""

    def __init__(self, filename: str) -> None:
        path = os.fspath(filename)
        super().__init__(path if path.endswith(".log") else f"{path}.log", encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Leave a line out where the disk is full; what fails for that is told by itself."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)
