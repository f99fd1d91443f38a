"""Pages of a data set at the sizes at which they are compared, read again as seldom as can be."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from src.data.duplicates import Indices
from src.data.laid import Level, Warp, lay_roughly
from src.data.progress import show_progress
from src.data.same_page import SAME, View, difference, rough_difference, shrink
from src.data.threads import map_ahead

# Two that correlate by less, laid on each other at an eighth of the size, are not of one sheet:
# these have 0.97 and more, other letters up to 0.75.
ROUGHLY_SAME = 0.9
# Nor those that differ by more there in a block of a word's size: scans up to 0.22, also where they
# lie 1.5 degrees and 15 pixels apart. Six of ten fillings of a template do.
ROUGHLY_OTHER = 0.35
# Pages kept in memory: 0.4 MB each, and 1 to 4 MB each of those that are compared. Of every page
# that is near to another 9 kB are kept besides.
PICTURES, VIEWS = 300, 48

Value = TypeVar("Value")


class _Recent(Generic[Value]):
    """What was made last, for several threads."""

    def __init__(self, make: Callable[[int], Value], most: int) -> None:
        self._make = make
        self._most = most
        self._lock = Lock()
        self._made: OrderedDict[int, Value] = OrderedDict()

    def __call__(self, index: int) -> Value:
        with self._lock:
            if index in self._made:
                self._made.move_to_end(index)
                return self._made[index]
        value = self._make(index)
        with self._lock:
            self._made[index] = value
            while len(self._made) > self._most:
                self._made.popitem(last=False)
        return value


class SeenPages:
    """The pages of a data set, each at the sizes at which it is needed."""

    def __init__(self, open_page: Callable[[int], Image.Image]) -> None:
        self._pictures = _Recent(lambda index: shrink(open_page(index)), PICTURES)
        self._small: dict[int, tuple[npt.NDArray[np.uint8], tuple[float, float]]] = {}
        self.view = _Recent(self._view, VIEWS)
        self._rough = _Recent(self._unpacked, VIEWS)

    def _view(self, index: int) -> View:
        view = View(self._pictures(index))
        if index not in self._small:
            small = view.levels[0]
            self._small[index] = (255 * small.ink.clip(0, 1)).astype(np.uint8), small.box
        return view

    def _unpacked(self, index: int) -> Level:
        if index not in self._small:
            self.view(index)
        ink, box = self._small[index]
        return Level(ink.astype(np.float32) / np.float32(255), box)

    def laid(self, a: int, b: int) -> tuple[Warp, float]:
        """Lay one page on another roughly, from what is in memory once both have been read."""
        return lay_roughly(self._rough(a), self._rough(b))

    def same(self, pair: Sequence[int]) -> bool:
        """Whether two pages show the same sheet."""
        a, b = pair
        start, agree = self.laid(a, b)
        if agree < ROUGHLY_SAME:
            return False
        if rough_difference(self._rough(a), self._rough(b), start) > ROUGHLY_OTHER:
            return False
        return difference(self.view(a), self.view(b), start) <= SAME

    def compare(self, pairs: Indices) -> Indices:
        """Return those pairs that show the same sheet, [pairs, 2] of both."""
        found = map_ahead(self.same, pairs.tolist())
        told = show_progress(found, "comparing pages that look alike", len(pairs))
        chosen: Indices = pairs[np.fromiter(told, bool, len(pairs))]
        return chosen
