"""What pages look like, in one file beside the index: 9.6 kB a page.

Hash, spectrum and a small picture of each: whether two pages may show the same sheet is seen there
first, so that most are not read again. The index says where each is; what is there stays, as long
as the index does. A second start needs none of it.
"""

from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from src.data import phash, spectrum

# What is seen of a page: `phash`, and `spectrum_and_ink`.
SEEN = np.dtype(
    [
        ("look", np.uint8, phash.SIDE**2 // 8),
        ("waves", np.int8, spectrum.NUMBERS),
        ("ink", np.uint8, (spectrum.SIDE, spectrum.SIDE)),
    ]
)

Seen = npt.NDArray[Any]


class SeenFile:
    """The file; who holds the lock of the index may write.

    Args:
        path: of it, which need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()

    def __len__(self) -> int:
        """Return how many pages there are."""
        try:
            return self._path.stat().st_size // SEEN.itemsize
        except FileNotFoundError:
            return 0

    def clear(self) -> None:
        """Leave none."""
        self._path.unlink(missing_ok=True)

    def add(self, seen: Seen) -> int:
        """Write what is seen of a page, SEEN [], and return its place."""
        with self._lock, self._path.open("ab") as file:
            # Half of one may be left of a process that was killed.
            place = -(-file.tell() // SEEN.itemsize)
            file.truncate(place * SEEN.itemsize)
            file.write(seen.tobytes())
            return place

    def all(self) -> Seen:
        """Return all, SEEN [pages], as a memory map."""
        count = len(self)
        if not count:
            return np.empty(0, SEEN)
        return np.memmap(self._path, SEEN, "r", shape=(count,))
