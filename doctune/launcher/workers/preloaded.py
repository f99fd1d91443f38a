"""What a fork server imports first: it carries out the orders that its environment brings."""

import ctypes
import gc
import importlib
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import NamedTuple

ORDERS = "DOCTUNE_FORK_SERVER"
# Of Linux's <sys/prctl.h>: a signal to a process when the thread that has started it ends.
PR_SET_PDEATHSIG = 1


class Orders(NamedTuple):
    """What a fork server is to do before the first copy is made of it.

    Attributes:
        path: where modules are looked for (`sys.path`).
        modules: to import.
        environment: variables to set before.
        log_file: gets what they print.
        ends_with_starter: whether to end at once with the thread that has started it.
    """

    path: list[str]
    modules: list[str]
    environment: dict[str, str]
    log_file: str
    ends_with_starter: bool = False


def carry_out(orders: Orders) -> None:
    """Import, and leave what was imported out of every later search for garbage.

    That search would write into memory that the copies share. While libraries are imported it finds
    next to nothing: of the six seconds of torch, timm and Lightning it took more than one.
    """
    if orders.ends_with_starter:
        # Otherwise it would hear of that when it has imported everything.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Ctrl-C is the sweeper's business; until here it was held back.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    os.environ.update(orders.environment)
    output_to(orders.log_file)
    sys.path[:] = orders.path
    gc.disable()
    for module in orders.modules:
        try:
            importlib.import_module(module)
        except Exception:
            # The worker imports it again, and its error is told.
            logging.getLogger(__name__).debug("%s", module, exc_info=True)
    gc.freeze()
    gc.enable()


def output_to(log_file: str) -> None:
    """Send what this process and its libraries print to a file."""
    Path(log_file).parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    target = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)


if ORDERS in os.environ:
    carry_out(Orders(**json.loads(os.environ.pop(ORDERS))))
