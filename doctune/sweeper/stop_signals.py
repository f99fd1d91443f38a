"""Ctrl-C and SIGTERM, which Slurm and spot machines send: a clean end first, then at once."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any


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
            os._exit(128 + number)
        self.received.append(number)
        if self._stop is None:
            raise KeyboardInterrupt
        self._stop()


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
