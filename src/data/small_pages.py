"""A small picture of every page of a data set, in one file beside the index: 9 kB a page.

Whether two pages may show the same sheet is first seen there, so that most are not read again. The
index says where each is; what is there stays, as long as the index does.
"""

from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from src.data.spectrum import SIDE

# Of a picture, a byte a pixel.
BYTES = SIDE * SIDE

Ink = npt.NDArray[np.uint8]


class SmallPages:
    """The file; who holds the lock of the index may write.

    Args:
        path: of it, which need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()

    def __len__(self) -> int:
        """Return how many pictures there are."""
        try:
            return self._path.stat().st_size // BYTES
        except FileNotFoundError:
            return 0

    def clear(self) -> None:
        """Leave none."""
        self._path.unlink(missing_ok=True)

    def add(self, ink: Ink) -> int:
        """Write the ink of a page, uint8 [SIDE, SIDE], and return its place."""
        with self._lock, self._path.open("ab") as file:
            # Half of one may be left of a process that was killed.
            place = -(-file.tell() // BYTES)
            file.truncate(place * BYTES)
            file.write(ink.tobytes())
            return place

    def all(self) -> Ink:
        """Return all, uint8 [pages, SIDE, SIDE], as a memory map."""
        count = len(self)
        if not count:
            return np.empty((0, SIDE, SIDE), np.uint8)
        return np.memmap(self._path, np.uint8, "r", shape=(count, SIDE, SIDE))
