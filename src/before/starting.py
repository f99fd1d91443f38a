"""Ctrl-C while a command still imports what it needs: a word, and no traceback.

A door imports this file first. `hydra_in_short` takes over when it has begun. A script or notebook
that imports a door keeps its own Ctrl-C.
"""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

STARTING = "stopped while it was starting; the same command starts again"


def end_at_once(number: int, _: FrameType | None) -> NoReturn:
    """End the process; nothing has begun that could be put in order."""
    os.write(2, f"{STARTING}\n".encode())
    os._exit(128 + number)


def stop(text: str) -> NoReturn:
    """Say how to go on, and end as any program that Ctrl-C has ended."""
    print(text, file=sys.stderr)
    sys.exit(128 + signal.SIGINT)


def _is_ours() -> bool:
    """Tell whether this process is a door's own, or one that a door has started."""
    if "--multiprocessing-fork" in sys.orig_argv:
        return True
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec is not None and spec.name.partition(".")[0] == __name__.partition(".")[0]


# Whoever runs commands in the background has switched it off for them.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler and _is_ours():
    signal.signal(signal.SIGINT, end_at_once)
