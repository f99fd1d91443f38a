"""`search.log`, in the study's folder, and the command line that goes on with the search."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import optuna

from src.sweep.commands import typed_command
from src.sweep.studies.credentials import without_passwords


@contextlib.contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Send this process's log, Optuna's included, to a file and keep it off the screen."""
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()


def shell_command() -> str:
    """Return the command line of this process as one would type it, without passwords."""
    return typed_command([without_passwords(word) for word in sys.orig_argv])
