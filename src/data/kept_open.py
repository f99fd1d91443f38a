"""Files of many pages that stay open from one page to the next.

Opening a PDF of 2,000 pages takes longer than drawing one of them, and the last page of a long
TIFF is found by way of all before it: opened anew for every page, both take time that grows with
the square of their length.
"""

import atexit
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

File = TypeVar("File")
# Path, time of change and size: a file that was changed meanwhile is another one.
Key = tuple[str, int, int]


class KeptOpen(Generic[File]):
    """The files that were read last, each for one thread at a time.

    Args:
        open_file: opens a path.
        close: ends what `open_file` has given.
        several: whether a file has several pages; others are closed at once.
        most: files that wait for their next page.
    """

    def __init__(
        self,
        open_file: Callable[[Path], File],
        close: Callable[[File], object],
        several: Callable[[File], bool],
        most: int,
    ) -> None:
        self._open = open_file
        self._close = close
        self._several = several
        self._most = most
        self._forget()
        atexit.register(self.close)
        # Two processes would move each other's place in the files.
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._idle: OrderedDict[Key, list[File]] = OrderedDict()

    @contextmanager
    def take(self, path: Path) -> Iterator[File]:
        """Give the file to the block alone, opened before or now.

        Raises:
            OSError: there is no such file.
        """
        stat = os.stat(path)
        key = (str(path), stat.st_mtime_ns, stat.st_size)
        with self._lock:
            waiting = self._idle.get(key)
            file = waiting.pop() if waiting else None
        if file is None:
            file = self._open(path)
        try:
            yield file
        except BaseException:
            self._close(file)
            raise
        if not self._several(file):
            self._close(file)
            return
        for old in self._put_back(key, file):
            self._close(old)

    def _put_back(self, key: Key, file: File) -> list[File]:
        """Keep a file, and return those for which there is no room any more."""
        with self._lock:
            self._idle.setdefault(key, []).append(file)
            self._idle.move_to_end(key)
            over = sum(map(len, self._idle.values())) - self._most
            gone: list[File] = []
            for old, files in list(self._idle.items()):
                while files and over > len(gone):
                    gone.append(files.pop())
                if not files:
                    del self._idle[old]
            return gone

    def close(self) -> None:
        """Close all that nobody reads."""
        with self._lock:
            files = [file for waiting in self._idle.values() for file in waiting]
            self._idle.clear()
        for file in files:
            self._close(file)
