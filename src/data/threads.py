"""Work on many files at once, in constant memory."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import TypeVar

from src.hardware.detect import cores

# Items taken ahead for every thread.
AHEAD = 4
# Once set, the work of this context ends before its next item.
TO_END: ContextVar[threading.Event | None] = ContextVar("TO_END", default=None)

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None
) -> Iterator[Result]:
    """Yield `function(item)` of every item, in order, computed a few items ahead.

    In threads: Pillow decodes and resizes outside Python's lock, and the workers of a search may
    not start processes. Who stops early leaves nothing running.

    Args:
        function: what is done.
        items: taken as they are needed.
        threads: one a core by default.

    Raises:
        concurrent.futures.CancelledError: `TO_END` was set.
    """
    count, to_end = threads or cores(), TO_END.get()
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(count, "map-ahead") as pool:
        try:
            for item in items:
                if to_end is not None and to_end.is_set():
                    raise CancelledError
                waiting.append(pool.submit(function, item))
                if len(waiting) >= AHEAD * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
