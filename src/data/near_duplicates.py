"""Which pages of a data set show the same sheet, copied or scanned again.

Pages whose hashes are near are looked at closer, two and two (`same_page.py`). Of a template that
hundreds of pages share each is near to all: there every page is laid on one of them, and only those
are compared whose fillings are alike. So the work grows with the pages, not with their square: each
is read and laid on another once, and compared with a few.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cache, partial
from threading import Lock
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from src.data.duplicates import Indices, Words, apart, components, near, words
from src.data.progress import show_progress
from src.data.same_page import SAME, SIDE, View, difference, differing, filling, shrink, view
from src.data.threads import map_ahead

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# Raised whenever other pages would be called the same.
VERSION = 1
# From so many pages that are near to each other on, they are taken for fillings of a template.
CROWD = 6
# Pages with which each is compared, at most: the nearest by hash, or by filling.
MOST = 4
# Fillings that are the same correlate by more, also of bad scans; others hardly do.
FILLED_ALIKE = 0.3
# A page that correlates less with the one it is laid on is of another template.
OF_TEMPLATE = 0.8
# Pages that show where the fields of a template are, and in which share of them a place differs;
# where more of the page does, it is of another template.
FEW, OFTEN, OTHER = 24, 0.2, 0.3
# Bits by which the hash of a filling that was scanned badly may differ from that of the page which
# stands for the template.
FAR = 360
# Pages that stand for no template, one after the other, after which the rest is taken for mixed.
TRIES = 5
# Ink beyond which a stroke counts no more.
STROKE = 0.2
# Numbers that describe a filling, sums over its cells with random signs.
NUMBERS = 512
# Pages kept in memory: 0.4 MB each, and 5 MB each of those that are compared.
PICTURES, VIEWS = 600, 48

Key = TypeVar("Key")
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


def same_sheets(looks: Sequence[str], open_page: Callable[[int], Image.Image]) -> Indices:
    """Find the pages that show the same sheet.

    Args:
        looks: perceptual hashes in hexadecimal, one of each page.
        open_page: opens a page by its index, in `same_page.SIDE` pixels or more.

    Returns:
        int64 [pairs, 2].
    """
    if len(looks) < 2:
        return np.empty((0, 2), np.int64)
    pictures = _Recent(lambda index: shrink(open_page(index)), PICTURES)
    views = _Recent(lambda index: view(pictures(index)), VIEWS)
    candidates = _candidates(words(looks), views)
    if not len(candidates):
        return candidates

    def same(pair: tuple[int, int]) -> bool:
        return difference(views(pair[0]), views(pair[1])) <= SAME

    found = map_ahead(same, candidates.tolist())
    told = show_progress(found, "comparing pages that look alike", len(candidates))
    chosen: Indices = candidates[np.fromiter(told, bool, len(candidates))]
    return chosen


def _candidates(hashes: Words, views: Callable[[int], View]) -> Indices:
    """Choose the pairs that are compared closely."""
    pairs, distances = near(hashes)
    count = len(hashes)
    labels = components(pairs, count)
    crowded = np.bincount(labels, minlength=count)[labels] >= CROWD
    alone = ~crowded[pairs[:, 0]]
    chosen = [_nearest(pairs[alone], distances[alone])]
    for label in np.unique(labels[crowded]):
        members = np.flatnonzero(labels == label)
        inside = labels[pairs[:, 0]] == label
        chosen += _in_crowd(members, hashes, pairs[inside], distances[inside], views)
    return np.unique(np.concatenate(chosen), axis=0)


def _nearest(pairs: Indices, distances: Indices) -> Indices:
    """Keep the `MOST` nearest pairs of each page."""
    both = np.concatenate([pairs, pairs[:, ::-1]])
    order = np.lexsort([np.tile(distances, 2), both[:, 0]])
    page = both[order, 0]
    rank = np.arange(len(page)) - np.searchsorted(page, page)
    return np.sort(both[order][rank < MOST], axis=1)


def _in_crowd(
    members: Indices,
    hashes: Words,
    pairs: Indices,
    distances: Indices,
    views: Callable[[int], View],
) -> list[Indices]:
    """Choose pairs among fillings of a template, or of several that are near to each other.

    The page with the most near ones stands for its template; pages near to it that do not lie on it
    are tried with the next.
    """
    chosen: list[Indices] = []
    failed = 0
    while len(members) >= CROWD and failed < TRIES:
        inside = np.isin(pairs, members).all(1)
        degree = np.bincount(pairs[inside].ravel(), minlength=members.max() + 1)
        first = int(members[degree[members].argmax()])
        around = pairs[inside & (pairs == first).any(1)]
        fields = _fields(first, around[around != first], views)
        close = members[apart(hashes, np.full_like(members, first), members) <= FAR]
        found = map_ahead(partial(_filled, views(first), views, fields), close.tolist())
        told = list(show_progress(found, "sorting pages of one template", len(close)))
        fits = np.array([agree > OF_TEMPLATE for _, agree in told]) | (close == first)
        failed = failed + 1 if fits.sum() == 1 else 0
        if fields.any():
            chosen.append(_alike(close[fits], np.stack([numbers for numbers, _ in told])[fits]))
        else:
            others = close[fits & (close != first)]
            chosen.append(np.stack([np.full_like(others, first), others], 1))
        members = np.setdiff1d(members, close[fits])
    rest = np.isin(pairs, members).any(1)
    chosen.append(_nearest(pairs[rest], distances[rest]))
    return [np.sort(some, axis=1) for some in chosen]


def _fields(first: int, others: Indices, views: Callable[[int], View]) -> Mask:
    """Find where the fillings of a template are, from a few of its pages."""
    few = others[np.linspace(0, len(others) - 1, min(FEW, len(others))).astype(int)]
    found = [differing(views(first), views(index)) for index in few.tolist()]
    # Of another template all is different.
    found = [some for some in found if some.mean() < OTHER]
    if not found:
        return np.zeros((SIDE // 2, SIDE // 2), bool)
    fields: Mask = np.mean(found, axis=0) > OFTEN
    return fields


def _filled(
    model: View, views: Callable[[int], View], fields: Mask, index: int
) -> tuple[Floats, float]:
    """Describe a filling by `NUMBERS` sums of its ink with random signs."""
    ink, agree = filling(model, views(index), fields)
    # Strong strokes, as of ticks, would count more than names.
    return (_signs(len(ink)) @ np.minimum(ink, STROKE)).astype(np.float32), agree


@cache
def _signs(length: int) -> Floats:
    drawn = np.random.default_rng(0).choice([-1.0, 1.0], (NUMBERS, length))
    return drawn.astype(np.float32)


def _alike(members: Indices, fillings: Floats) -> Indices:
    """Return pairs of pages whose fillings correlate most.

    Args:
        members: indices of the pages.
        fillings: float32 [N, NUMBERS].
    """
    if len(members) < 2:
        return np.empty((0, 2), np.int64)
    own = fillings - fillings.mean(0)
    own /= np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-9)
    most = min(MOST, len(members) - 1)
    found: list[Indices] = []
    # In pieces, as all against all of 100,000 would take 40 GB.
    for start in range(0, len(own), 2048):
        alike = own[start : start + 2048] @ own.T
        rows = np.arange(len(alike))
        alike[rows, start + rows] = -1
        best = np.argpartition(-alike, most - 1, axis=1)[:, :most]
        high = np.take_along_axis(alike, best, 1) > FILLED_ALIKE
        row, column = np.nonzero(high)
        found.append(np.stack([members[start + row], members[best[row, column]]], 1))
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
