"""Ctrl-C and SIGTERM, which Slurm and spot machines send: a clean end first, then at once."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[list[int]]:
    """Call `stop` at the first signal; end the process at the second.

    Yields:
        The signals received so far.
    """
    received: list[int] = []

    def handle(number: int, _: Any) -> None:
        if received:
            os._exit(128 + number)
        received.append(number)
        stop()

    try:
        previous = {
            number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)
        }
    except ValueError:
        # Not the main thread: whoever started us owns the signals.
        yield received
        return
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
