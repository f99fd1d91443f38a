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

from src.data.duplicates import Indices
from src.data.resample import levels, resample

Floats = npt.NDArray[np.float32]
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
# Pairs that are held against each other at once.
PAIRS = 4_000_000

_drawn = np.random.default_rng(0).integers(0, 2, (2 * WAVES * WAVES, NUMBERS), np.int8)
_SIGNS = (2 * _drawn - 1).astype(np.float32)
# So that the edges of the picture are no waves themselves.
_WINDOW = np.outer(np.hanning(SIDE), np.hanning(SIDE)).astype(np.float32)
# The lowest waves of the Fourier transform: of rows from 0, of columns to either side of 0.
_turns = np.outer(np.arange(-WAVES, WAVES), np.arange(SIDE)) / SIDE
_DOWN = np.exp(-2j * np.pi * _turns).astype(np.complex64)
_ACROSS = _DOWN[WAVES:].T


def spectrum(image: Image.Image) -> Numbers:
    """Describe a page.

    Args:
        image: in any mode and size.

    Returns:
        int8 [NUMBERS].
    """
    return spectrum_and_ink(image)[0]


def spectrum_and_ink(image: Image.Image) -> tuple[Numbers, npt.NDArray[np.uint8]]:
    """Return what `spectrum` does, and the ink that it was found in, uint8 [SIDE, SIDE]."""
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
    """Find the pages that are most alike by their spectra.

    All are held against all: 0.05 ms a page of 10,000, and ten times that of ten times as many. Of
    the others that are nearest to a page those are left out that no scan of it could be.

    Args:
        spectra: as `spectrum` returns them, int8 [N, NUMBERS].
        most: others that each page is paired with, at most.

    Returns:
        int64 [pairs, 2], the smaller index first.
    """
    count = len(spectra)
    most = min(most, count - 1)
    if most < 1:
        return np.empty((0, 2), np.int64)
    whole = _unit(spectra.astype(np.float32))
    # What all pages share tells none apart.
    numbers = _unit(whole - whole.mean(0))
    found: list[Indices] = []
    step = max(1, PAIRS // count)
    kept = np.empty((min(step, count), count), np.float32)
    for start in range(0, count, step):
        some = numbers[start : start + step]
        rows = np.arange(len(some))
        # In the same memory each time, as new one takes longer than the product.
        agree = np.matmul(some, numbers.T, out=kept[: len(some)])
        agree[rows, start + rows] = -2
        firsts = []
        for _ in range(most):
            firsts.append(agree.argmax(1))
            agree[rows, firsts[-1]] = -2
        best, pages = np.concatenate(firsts), np.tile(start + rows, most)
        may_be = agree[pages - start, best] >= ALIKE
        may_be |= (whole[pages] * whole[best]).sum(1) >= ALIKE_IN_ALL
        found.append(np.stack([pages, best], 1)[may_be])
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _unit(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-9), np.float32)
