"""Pages of a data set at the sizes at which they are compared, read again as seldom as can be."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from src.data.duplicates import Indices
from src.data.laid import Level, Warp, lay_roughly, smooth
from src.data.progress import show_progress
from src.data.same_page import SAME, View, difference, reach, rough_difference, shrink
from src.data.threads import map_ahead

# Two that correlate by less, laid on each other at an eighth of the size, are not of one sheet: of
# 68 pairs of scans of one sheet, up to 1.5 degrees and 15 pixels apart, all have 0.989 and more.
ROUGHLY_SAME = 0.93
# Nor those that correlate by less when they are laid a little better.
HOPELESS = 0.7
# Nor those that differ by more there in a block of a word's size: the same scans up to 0.09, seven
# of ten fillings of a template more than this.
ROUGHLY_OTHER = 0.25
# Pages kept in memory: 0.4 MB each, and 1 to 4 MB each of those that are compared.
PICTURES, VIEWS = 300, 48

# Small pages that are smoothed by so many pixels, and so many of those that are kept: 0.2 MB each.
SMOOTHED, ROUGH = 0.75, 300

# The small picture of a page, ink as uint8 [96, 96], and the size of the page in any unit.
Small = tuple[npt.NDArray[np.uint8], tuple[int, int]]


class SeenPages:
    """The pages of a data set, each at the sizes at which it is needed."""

    def __init__(
        self, open_page: Callable[[int], Image.Image], small: Callable[[int], Small]
    ) -> None:
        # Several threads may ask for one at once, and then each makes it.
        self._pictures = lru_cache(PICTURES)(lambda index: shrink(open_page(index)))
        self.view = lru_cache(VIEWS)(lambda index: View(self._pictures(index)))
        self._rough = lru_cache(ROUGH)(lambda index: _level(*small(index)))

    def laid(self, a: int, b: int, hopeless: float | None = None) -> tuple[Warp, float]:
        """Lay one page on another roughly, by their small pictures alone."""
        return lay_roughly(self._rough(a), self._rough(b), hopeless)

    def same(self, pair: Sequence[int]) -> bool:
        """Whether two pages show the same sheet."""
        a, b = pair
        start, agree = self.laid(a, b, HOPELESS)
        if agree < ROUGHLY_SAME:
            return False
        if rough_difference(self._rough(a), self._rough(b), start) > ROUGHLY_OTHER:
            return False
        return difference(self.view(a), self.view(b), start) <= SAME

    def compare(self, pairs: Indices) -> Indices:
        """Return those pairs that show the same sheet, [pairs, 2] of both."""
        order = _side_by_side(pairs)
        found = map_ahead(self.same, pairs[order].tolist())
        told = show_progress(found, "comparing pages that look alike", len(pairs))
        same = np.zeros(len(pairs), bool)
        same[order] = np.fromiter(told, bool, len(pairs))
        chosen: Indices = pairs[same]
        return chosen


def _level(ink: npt.NDArray[np.uint8], size: tuple[int, int]) -> Level:
    return Level(smooth(ink.astype(np.float32) / np.float32(255), SMOOTHED, 3), reach(size))


def _side_by_side(pairs: Indices) -> Indices:
    """Return an order of pairs in which the same pages follow each other soon.

    Pages get places such that linked ones stand near to each other (Cuthill and McKee, Reducing the
    bandwidth of sparse symmetric matrices, 1969). Of 150 contracts half as many views are made as
    with sorted pairs.
    """
    if not len(pairs):
        return np.empty(0, np.int64)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    pages, ends = np.unique(pairs, return_inverse=True)
    a, b = ends.reshape(-1, 2).T
    links = coo_array((np.ones(len(a), bool), (a, b)), shape=(len(pages), len(pages))).tocsr()
    place = np.empty(len(pages), np.int64)
    place[reverse_cuthill_mckee(links + links.T, symmetric_mode=True)] = np.arange(len(pages))
    first, second = np.minimum(place[a], place[b]), np.maximum(place[a], place[b])
    order: Indices = np.lexsort((second, first))
    return order
