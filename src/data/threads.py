"""Work on many files at once, in constant memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from src.hardware.detect import cores

# Items taken ahead for every thread.
AHEAD = 4

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
    """
    count = threads or cores()
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(count, "map-ahead") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= AHEAD * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
