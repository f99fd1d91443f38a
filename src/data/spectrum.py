"""What finds another scan of a page among many: the strengths of its waves, wherever they lie.

A scan lies some pixels beside another and a little askew. In a picture's spectrum a shift changes
the phases alone, not the strengths, and a small turn moves the low waves by less than one; so two
scans of a sheet are near to each other there, as they are not in a hash that takes the page as it
lies. Measured on pages of tests.benchmarks.near_duplicates that lie up to 1.5 degrees and 15 pixels
apart: the right page is among the two nearest for 100 % by the spectrum, for 76 % by the hash.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from src.data.duplicates import Indices, first_of_each
from src.data.resample import Floats, levels, resample

Numbers = npt.NDArray[np.int8]

# Side of the square at which a page is looked at, waves across and down that count, and how many
# numbers are kept: sums of their strengths with random signs.
SIDE, WAVES, NUMBERS = 96, 24, 256
# The root keeps the strongest waves, lines of text, from being all that counts.
ROOT = 0.5
# Cosines of two spectra, beside the mean of all pages and as they are: a pair that has less in both
# is no sheet scanned twice. 68 pairs of scans of one sheet, up to 1.5 degrees and 15 pixels apart
# (17 kinds of pages), have 0.905 and 0.988 at least; of other fillings of their templates a third
# has less than the limits.
ALIKE, ALIKE_IN_ALL = 0.75, 0.97
# Pairs that are held against each other at once, or kept.
PAIRS = 4_000_000
# Where a larger share of them may be of one sheet, as on a template, the best of each are listed.
MANY = 0.02

_drawn = np.random.default_rng(0).integers(0, 2, (2 * WAVES * WAVES, NUMBERS), np.int8)
_SIGNS = (2 * _drawn - 1).astype(np.float32)
# So that the edges of the picture are no waves themselves.
_WINDOW = np.outer(np.hanning(SIDE), np.hanning(SIDE)).astype(np.float32)
# The lowest waves of the Fourier transform: of rows from 0, of columns to either side of 0.
_turns = np.outer(np.arange(-WAVES, WAVES), np.arange(SIDE)) / SIDE
_DOWN = np.exp(-2j * np.pi * _turns).astype(np.complex64)
_ACROSS = _DOWN[WAVES:].T


def spectrum_and_ink(image: Image.Image) -> tuple[Numbers, npt.NDArray[np.uint8]]:
    """Describe a page in any mode and size.

    Returns:
        int8 [NUMBERS], and the ink that they were found in, uint8 [SIDE, SIDE].
    """
    grey = image.convert("L")
    scale = SIDE / max(grey.size)
    width, height = (max(1, round(side * scale)) for side in grey.size)
    small = resample(grey, (width, height), Image.Resampling.BILINEAR)
    # The level that a tenth of the page is lighter than.
    paper = np.partition(small, rank := int(0.9 * small.size), axis=None)[rank]
    ink = np.zeros((SIDE, SIDE), np.float32)
    left, top = (SIDE - width) // 2, (SIDE - height) // 2
    np.subtract(paper, small, out=ink[top : top + height, left : left + width])
    waves = np.abs(_DOWN @ ((ink * _WINDOW) @ _ACROSS)) ** ROOT
    # The mean.
    waves[WAVES, 0] = 0
    numbers = waves.ravel() @ _SIGNS
    numbers *= 127 / max(float(np.abs(numbers).max()), 1e-6)
    return np.rint(numbers).astype(np.int8), levels(ink)


def nearest(spectra: Numbers, most: int) -> Indices:
    """Find the pages that are most alike by their spectra, of those that may be scans of one sheet.

    All are held against all, each pair once; what is not alike enough is left out in one pass.

    Args:
        spectra: as `spectrum_and_ink` returns them, int8 [N, NUMBERS].
        most: others that each page is paired with, at most, and those that it is for them.

    Returns:
        int64 [pairs, 2], the smaller index first.
    """
    count = len(spectra)
    whole = _unit(spectra.astype(np.float32))
    # What all pages share tells none apart.
    mean = whole.mean(0) if count else np.zeros(NUMBERS, np.float32)
    beside = whole - mean
    lengths, numbers = np.linalg.norm(beside, axis=1), _unit(beside)
    # Beside what is theirs alone, two pages share this much of each.
    shared = whole @ mean - mean @ mean / 2
    least = _least(lengths)
    pairs, known = np.empty((0, 2), np.int64), np.empty(0, np.float32)
    step = max(1, PAIRS // max(1, count))
    memory = np.empty(min(step, count) * count, np.float32)
    for first in range(0, count, step):
        rows, others = slice(first, min(first + step, count)), slice(first, count)
        here = rows.stop - first
        # In the same memory each time, as new one takes longer than the product.
        agree = memory[: here * (count - first)].reshape(here, count - first)
        np.matmul(numbers[rows], numbers[others].T, out=agree)
        agree[:, :here][np.tri(here, dtype=bool)] = -2
        # Of all places in a row, which are found ten times as fast as rows and columns.
        a, b = np.divmod(np.flatnonzero(agree >= least[rows, None]), count - first)
        if len(a) > agree.size * MANY:
            in_all = agree * lengths[rows, None] * lengths[others]
            in_all += shared[rows, None] + shared[others]
            agree[(agree < ALIKE) & (in_all < ALIKE_IN_ALL)] = -2
            a, b = _most_of_each(agree, most)
        values = agree[a, b]
        a, b = a + first, b + first
        in_all = values * lengths[a] * lengths[b] + shared[a] + shared[b]
        may_be = (values >= ALIKE) | (in_all >= ALIKE_IN_ALL)
        pairs = np.concatenate([pairs, np.stack([a, b], 1)[may_be]])
        known = np.concatenate([known, values[may_be]])
        if len(pairs) > PAIRS:
            best = _best(pairs, known, most)
            pairs, known = pairs[best], known[best]
    return np.unique(pairs[_best(pairs, known, most)], axis=0)


def _least(lengths: Floats) -> Floats:
    """Return what the cosine of each page with another is at least, if the two may be one sheet.

    Of a pair with a cosine of ALIKE_IN_ALL the cosine beside the mean follows from how far both are
    from that; it is least for some length of the other.

    Args:
        lengths: how far the pages are from the mean, float32 [N].
    """
    if not len(lengths):
        return lengths
    apart = 2 - 2 * ALIKE_IN_ALL
    own = np.maximum(lengths, 1e-6)
    other = np.sqrt(np.maximum(own**2 - apart, 0)).clip(own.min(), own.max())
    in_all = (own**2 + other**2 - apart) / (2 * own * other)
    # Less what sums of floats may lose.
    least: Floats = in_all.clip(-1, ALIKE).astype(np.float32) - np.float32(1e-4)
    return least


def _most_of_each(agree: Floats, most: int) -> tuple[Indices, Indices]:
    """Return the places of the largest in each row and each column; -2 is none."""
    found: list[Indices] = []
    for turned, values in enumerate((agree.copy(), agree.T.copy())):
        rows = np.arange(len(values))
        for _ in range(min(most, values.shape[1])):
            best = values.argmax(1)
            there = values[rows, best] > -2
            pair = np.stack([rows, best], 1)[there]
            found.append(pair[:, ::-1] if turned else pair)
            values[rows, best] = -2
    pairs = np.unique(np.concatenate(found), axis=0)
    return pairs[:, 0], pairs[:, 1]


def _best(pairs: Indices, values: Floats, most: int) -> Indices:
    """Return the rows of those pairs that are among the best of one of their pages."""
    best = first_of_each(pairs.T.ravel(), -np.tile(values, 2), most)
    return np.unique(best % max(1, len(pairs)))


def _unit(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-9), np.float32)
