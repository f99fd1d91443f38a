"""Ctrl-C and SIGTERM, which Slurm and spot machines send: a clean end first, then at once."""

import contextlib
import multiprocessing.util
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from doctune.launcher.job.family import descendants, end_all, words_of

# How long jobs may take to end that were cancelled, in seconds.
LEAVE_SECONDS = 2.0


class StopSignals:
    """The signals that have come so far, and what the first one calls."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self._stop: Callable[[], None] | None = None

    def call_at_first(self, stop: Callable[[], None]) -> None:
        """Have the first signal call `stop`; until then it raises KeyboardInterrupt."""
        self._stop = stop

    def handle(self, number: int, _: Any) -> None:
        """Take a signal; the second one ends the process."""
        if self.received:
            _end_at_once(128 + number)
        self.received.append(number)
        if self._stop is None:
            raise KeyboardInterrupt
        self._stop()


def _end_at_once(code: int) -> NoReturn:
    """End this process without waiting, and without a word from what it has started."""
    show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
    os.write(2, f"{show_cursor}ended at once; the same command goes on\n".encode())
    _end_children()
    os._exit(code)


def _end_children() -> None:
    """End what this process has started, and what Python keeps beside it."""
    children = [
        child
        for child in descendants(os.getpid())
        if "resource_tracker" not in " ".join(words_of(child))
    ]
    end_all(children)
    # Python tells of semaphores that are left, and removes them; it may wait for what is gone.
    finalize = multiprocessing.util._run_finalizers  # type: ignore[attr-defined]
    finalizers = threading.Thread(target=finalize, daemon=True)
    finalizers.start()
    finalizers.join(1.0)


def leave(code: int, threads: str) -> NoReturn:
    """End this process after a stop, without jobs that cannot be ended in another way.

    Args:
        code: the exit status.
        threads: what the names of those threads begin with that wait for jobs.
    """
    end = time.monotonic() + LEAVE_SECONDS
    for thread in threading.enumerate():
        if thread.name.startswith(threads):
            thread.join(max(0.0, end - time.monotonic()))
    if not any(thread.name.startswith(threads) for thread in threading.enumerate()):
        sys.exit(code)
    # Python would wait for them, and joblib for its processes.
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    _end_children()
    os._exit(code)


@contextlib.contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """Take over the signals, until all is written that a clean end writes."""
    signals = StopSignals()
    try:
        previous = {
            number: signal.signal(number, signals.handle)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
    except ValueError:
        # Not the main thread: whoever started us owns the signals.
        yield signals
        return
    try:
        yield signals
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
