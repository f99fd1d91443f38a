"""The images of a search, read in the background while its models are looked at."""

import contextvars
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from src.before.comparable import code_version
from src.data.config import DataConfig
from src.data.load import load_splits
from src.data.splits import Splits
from src.data.threads import TO_END

# What reads now.
_now: "Reading | None" = None


class Reading:
    """Reads the images of a search while it is entered; whoever leaves early ends it.

    Args:
        data: the `data` group.
    """

    def __init__(self, data: DataConfig) -> None:
        self.data = data
        self._end = threading.Event()
        self._thread = ThreadPoolExecutor(1, "reading")
        self._read: Future[Splits] | None = None

    def __enter__(self) -> "Reading":
        global _now
        context = contextvars.copy_context()
        context.run(TO_END.set, self._end)
        # A third of a second while others import. Not beside the reading: of two threads that parse
        # Python at once, as NumPy does an array's header, 3.11 fails one (python/cpython#106905).
        code_version()
        self._read = self._thread.submit(lambda: context.run(load_splits, self.data))
        _now = self
        return self

    def __exit__(self, *_: Any) -> None:
        global _now
        _now = None
        self._end.set()
        self._thread.shutdown()

    def splits(self) -> Splits:
        """Wait for the images.

        Raises:
            UserError: as in `load_splits`.
        """
        assert self._read is not None
        return self._read.result()


def splits_of(data: DataConfig) -> Splits:
    """Return the images, which may be read already.

    Args:
        data: the `data` group.

    Raises:
        UserError: as in `load_splits`.
    """
    if _now is not None and _now.data == data:
        return _now.splits()
    return load_splits(data)
