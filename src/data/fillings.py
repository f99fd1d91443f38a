"""Which pages of a template are filled in alike.

Every page is laid on the one that stands for the template, and only what is in the fields is kept
of it. So all can be held against all without reading a page again.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.data.duplicates import Indices, first_of_each
from src.data.laid import Floats
from src.data.progress import show_progress
from src.data.same_page import DIRT, SIDE, differing, filling
from src.data.seen_pages import SeenPages
from src.data.threads import map_ahead

Mask = npt.NDArray[np.bool_]

# Two pages that correlate by less, laid on each other at an eighth of the size, or by less beside
# the fields, are not of one template.
ROUGHLY_OF_TEMPLATE, OF_TEMPLATE = 0.5, 0.91
# Pages that show where the fields of a template are, and in which share of them a place differs, as
# a box that one in five ticks.
FEW, OFTEN = 16, 0.1
# Where this share of the page differs, or so many times as much as in half of these pages, it is of
# another template.
OTHER, TIMES = 0.3, 1.8
# Ink beyond which a stroke counts no more: ticks would count more than names.
STROKE = 0.2
# Numbers that describe a filling, sums over its ink with random signs.
NUMBERS = 512
# Fillings of one sheet correlate by more, also of bad scans; others hardly do.
ALIKE = 0.3
# Two that are near by their spectra too are left out only below this: of 17 pairs of scans and
# copies of laboratory reports the least has 0.15; half of the others have less.
OTHERS = 0.1
# So many of the most alike are held against a page block by block. Of blocks of so many pixels the
# one that is least alike correlates by 0.7 and more on one sheet, by less on nearly all others.
FOLLOWED, BLOCK, BLOCK_ALIKE = 8, 8, 0.55
# So many are compared whatever their blocks say: of 23 second scans of forms among 115 fillings the
# right page was the most alike each time, but had a spoiled block in 12.
SURE = 2
# Blocks with fewer pixels of fields tell nothing.
FULL = BLOCK * BLOCK // 4
# Rows that are held against all at once, and pages whose numbers are worked out together: their
# signs are 90 MB, which would have to be read for each.
ROWS, TOGETHER = 2048, 32


@dataclass(frozen=True)
class Fillings:
    """What is in the fields of a template, page by page.

    Args:
        pages: their indices, int64 [F], rising.
        numbers: sums of the ink with random signs, float32 [F, NUMBERS].
        ink: of every pixel of the fields, uint8 [F, P].
        block: in which block each pixel is, int64 [P].
    """

    pages: Indices
    numbers: Floats
    ink: npt.NDArray[np.uint8]
    block: Indices


def find_fields(first: int, others: Indices, pages: SeenPages) -> Mask:
    """Find where a template is filled in, from a few of its pages.

    Args:
        first: the page that stands for it.
        others: pages that may be of it, the likeliest first.
        pages: all.

    Returns:
        bool [SIDE / 2, SIDE / 2]; nothing where no other is of the template.
    """
    found = []
    for index in others[:FEW].tolist():
        start, agree = pages.laid(first, index)
        if agree > ROUGHLY_OF_TEMPLATE:
            found.append(differing(pages.view(first), pages.view(index), start))
    shares = np.array([some.mean() for some in found if some.mean() < OTHER])
    if not len(shares):
        return np.zeros((SIDE // 2, SIDE // 2), bool)
    most = min(OTHER, TIMES * float(np.median(shares)))
    fields: Mask = np.mean([some for some in found if some.mean() <= most], axis=0) > OFTEN
    return fields


def read_fillings(first: int, close: Indices, fields: Mask, pages: SeenPages) -> Fillings:
    """Read what is in the fields of those pages that are of a template.

    Args:
        first: the page that stands for it.
        close: pages that may be of it, with that one.
        fields: of `find_fields`.
        pages: all.
    """
    model = pages.view(first)
    rows, columns = np.nonzero(fields)
    drawn = np.random.default_rng(0).integers(0, 2, (NUMBERS, len(rows)), np.int8)
    signs = (2 * drawn - 1).astype(np.float32)

    def read(index: int) -> Floats | None:
        start, agree = pages.laid(first, index)
        # A blank page correlates with nothing, itself included.
        if agree < ROUGHLY_OF_TEMPLATE and index != first:
            return None
        ink, agree = filling(model, pages.view(index), fields, start)
        return ink if agree >= OF_TEMPLATE or index == first else None

    found = map_ahead(read, close.tolist())
    good, kept = np.zeros(len(close), bool), []
    numbers: list[Floats] = []
    waiting: list[Floats] = []
    for at, ink in enumerate(show_progress(found, "sorting pages of one template", len(close))):
        if ink is not None:
            good[at] = True
            kept.append((255 * ink.clip(0, 1)).astype(np.uint8))
            waiting.append(np.minimum(ink, STROKE))
        if len(waiting) == TOGETHER or (waiting and at + 1 == len(close)):
            numbers.append(np.stack(waiting) @ signs.T)
            waiting.clear()
    return Fillings(
        close[good],
        np.concatenate(numbers),
        np.stack(kept),
        np.unique(rows // BLOCK * SIDE + columns // BLOCK, return_inverse=True)[1],
    )


def may_be_alike(fillings: Fillings, pairs: Indices) -> Mask:
    """Return which pairs of pages may be filled in alike, bool [pairs].

    Those are too of which a page is not of the template.
    """
    place = np.searchsorted(fillings.pages, pairs).clip(max=len(fillings.pages) - 1)
    inside = (fillings.pages[place] == pairs).all(1)
    a, b = place[inside].T
    own, may = _compared(fillings), np.ones(len(pairs), bool)
    may[inside] = (own[a] * own[b]).sum(1) > OTHERS
    return may


def _compared(fillings: Fillings) -> Floats:
    """Return numbers whose products are correlations."""
    own = fillings.numbers - fillings.numbers.mean(0)
    return np.asarray(own / np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-9))


def alike(fillings: Fillings, most: int) -> Indices:
    """Find the pages that are filled in most alike.

    Args:
        fillings: of a template.
        most: others that each page is paired with.

    Returns:
        int64 [pairs, 2].
    """
    own = _compared(fillings)
    found: list[Indices] = []
    # In pieces, as all against all of 100,000 would take 40 GB.
    for start in range(0, len(own), ROWS):
        agree = own[start : start + ROWS] @ own.T
        rows = np.arange(len(agree))
        agree[rows, start + rows] = -1
        row, column = np.nonzero(agree > ALIKE)
        best = first_of_each(row, -agree[row, column], FOLLOWED)
        row, column = row[best], column[best]
        pairs = np.stack([start + row, column], 1).tolist()
        least = np.array([_least_alike(fillings, a, b) for a, b in pairs], np.float32)
        # A line of the template that is laid a pixel beside may spoil a block of the right page.
        sure = first_of_each(row, -agree[row, column], SURE)
        found.append(np.stack([start + row[sure], column[sure]], 1))
        close = least > BLOCK_ALIKE
        row, column = row[close], column[close]
        best = first_of_each(row, -least[close], most)
        found.append(np.stack([start + row[best], column[best]], 1))
    return np.unique(np.sort(fillings.pages[np.concatenate(found)], axis=1), axis=0)


def _least_alike(fillings: Fillings, a: int, b: int) -> float:
    """Return the correlation of the fields of two pages in the block in which it is lowest."""
    ink, other = (fillings.ink[page].astype(np.float32) / 255 for page in (a, b))
    count = np.bincount(fillings.block)

    def mean(values: Floats) -> Floats:
        return np.asarray(np.bincount(fillings.block, values) / count, np.float32)

    means = mean(ink), mean(other)
    spread = [mean(each * each) - m**2 + DIRT for each, m in zip((ink, other), means, strict=True)]
    correlation = (mean(ink * other) - means[0] * means[1] + DIRT) / np.sqrt(spread[0] * spread[1])
    full = correlation[count >= FULL]
    return float(full.min()) if len(full) else 1.0
