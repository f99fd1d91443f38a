"""Work on many files at once, in constant memory."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from src.hardware.detect import cores

# Items taken ahead for every thread.
AHEAD = 4
# Once set, the work of this context ends before its next item.
TO_END: ContextVar[threading.Event | None] = ContextVar("TO_END", default=None)

Item = TypeVar("Item")
Result = TypeVar("Result")


def end_if_told() -> None:
    """End the work of this context where it is no longer wanted.

    Raises:
        concurrent.futures.CancelledError: `TO_END` was set.
    """
    to_end = TO_END.get()
    if to_end is not None and to_end.is_set():
        raise CancelledError


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None
) -> Iterator[Result]:
    """Yield `function(item)` of every item, in order, computed a few items ahead.

    In threads: Pillow decodes and resizes outside Python's lock, and the workers of a search may
    not start processes. Products of matrices stay in the thread that asks for them. Who stops early
    leaves nothing running.

    Args:
        function: what is done.
        items: taken as they are needed.
        threads: one a core by default.

    Raises:
        concurrent.futures.CancelledError: `TO_END` was set.
    """
    count = threads or cores()
    waiting: deque[Future[Result]] = deque()
    with products_in_one_thread(), ThreadPoolExecutor(count, "map-ahead") as pool:
        try:
            for item in items:
                end_if_told()
                # In this context, so that work within the work ends with it, too.
                waiting.append(pool.submit(copy_context().run, function, item))
                if len(waiting) >= AHEAD * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


class _OneThread:
    """Blocks within which products take one thread, counted: they may overlap in any order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks = 0
        self._limits: Any = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        # Imported here: a mistake in a command is told before it is needed.
        from threadpoolctl import threadpool_limits

        with self._lock:
            if not self._blocks:
                self._limits = threadpool_limits(1, "blas")
            self._blocks += 1
        try:
            yield
        finally:
            with self._lock:
                self._blocks -= 1
                if not self._blocks:
                    self._limits.restore_original_limits()


# NumPy's products start threads of their own from 36 x 256 numbers on. Small as they are here,
# these wait for each other longer than they work: on two busy cores a page took eight times as
# much of them.
products_in_one_thread = _OneThread()
