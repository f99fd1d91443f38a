"""What goes on in a worker process: it is prepared, and runs one job after the other."""

import contextlib
import faulthandler
import gc
import importlib
import os
import signal
import sys
import threading
import time
from typing import Any

import psutil
from hydra.core.utils import JobReturn

from doctune.launcher.job.family import end_with_family, lead_own_group
from doctune.launcher.job.run import JobContext, JobRunner
from doctune.launcher.workers.fork_server import leave_server
from doctune.launcher.workers.preloaded import output_to
from doctune.launcher.workers.surroundings import pin

# How often a worker looks whether the sweep still lives, in seconds.
PARENT_SECONDS = 0.2

# Of this process, once it is prepared.
_runner: JobRunner | None = None


def begin(
    environment: dict[str, str],
    cores: list[int],
    preload: list[str],
    context: JobContext,
    log_file: str,
    parent: int,
    pid: Any,
) -> None:
    """Prepare a new worker process; Ctrl-C is the sweeper's business.

    Args:
        environment: variables of its place.
        cores: that it keeps to; empty: all.
        preload: modules to import.
        context: of the jobs.
        log_file: gets what is printed.
        parent: id of the process that sweeps, with which this one ends.
        pid: shared number that gets this process's id once it can be asked where it is.
    """
    global _runner
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lead_own_group()
    leave_server()
    pin(environment, cores)
    output_to(log_file)
    faulthandler.enable()
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1, all_threads=True)
    # Last, as the signal would end a process that is not prepared for it.
    pid.value = os.getpid()
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    for module in preload:
        importlib.import_module(module)
    _runner = context.restore()
    # Of a job that will ask for its trial, while there is no job.
    storage: Any = sys.modules.get("doctune.study.storage")
    if storage is not None:
        storage.import_ahead()
    # What was imported stays: looking through it for garbage took a fifth of a short job.
    gc.freeze()


def work(overrides: list[str], number: int) -> JobReturn:
    """Run a job in this process."""
    assert _runner is not None
    return _runner.run_beside(overrides, number)


def end_with(parent: int) -> None:
    """End this process when the one that sweeps is gone, however it went."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(parent)
        # `wait` would also wait for whoever started it to take note of its end.
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(PARENT_SECONDS)
    end_with_family()
