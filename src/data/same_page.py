"""Whether two pictures show the same sheet, scanned or saved twice, or two of one template.

A perceptual hash cannot tell: two fillings of a form are nearer to each other than two scans of
one of them that lie half a degree and a few pixels apart. So the two are laid on each other first
(`laid.py`), and then compared block by block: what differs between two fillings is little of the
whole, but all of the block that it is in.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from src.data.laid import (
    Floats,
    Level,
    Warp,
    coordinates,
    half,
    lay,
    lay_roughly,
    sampled,
    smooth,
    warped,
)

# Side at which pages are compared: smaller, two names or dates in 10 points look the same.
SIDE = 768
# Two that differ by no more show the same sheet. Measured by tests.benchmarks.near_duplicates:
# copies and scans of one sheet 0.02 to 0.11, fillings of one template 0.24 and more.
SAME = 0.12
# What differs by more at half the side is not looked at any closer: copies and scans up to 0.42.
SURELY_OTHER = 0.5
# What differs by more there is where two pages of a template are filled differently.
FILLED = 0.3
# Smoothed by so many pixels, so that neither grain nor a sharper copy counts; pages with fewer than
# this share of the pixels by as many of their own.
SMOOTHED, FULL = 1.0, 0.8
# Side of a block, about two letters, and how far it is to the next.
BLOCK, STRIDE = 12, 4
# Cells along a side of the page, and along one of a block; and the same at an eighth of SIDE.
BLOCKS, ROUGH_BLOCKS = (SIDE // STRIDE, BLOCK // STRIDE), (48, 2)
# Blocks that may lie elsewhere by a pixel, as paper does not lie flat; where more do, it is
# another page.
LOOSE = 400
# Blocks with more variance than this are written on; so many along each side are a word's part. It
# is another word where it differs by so many times as much as nine of ten do, and a little: of 316
# pairs of scans and copies the most is 4.6, of 278 pairs of fillings that are nearest to each other
# among 115 of a template the least 5.7.
WRITTEN, WORD, STANDS_OUT, FAINTLY = 0.002, 3, 5.0, 0.01
# Variance of faint dirt, of the ink's range squared.
DIRT = 0.001
# Share of the page's length at its edges that is not compared: a scan may show there what lies
# beside the sheet.
EDGE = 0.02

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class View:
    """A page as it is compared.

    Args:
        grey: as `shrink` returns it.
    """

    grey: Image.Image

    @cached_property
    def detail(self) -> float:
        """Return how many pixels the page has for each that is compared, 1 at most."""
        return max(self.grey.size) / SIDE

    @cached_property
    def _square(self) -> tuple[Image.Image, int]:
        """Return the page on a square of its paper, and the paper's level."""
        grey = self.grey
        if self.detail < 1:
            grey = grey.resize(_sides(grey.size, 1 / self.detail), Image.Resampling.BICUBIC)
        counts = np.cumsum(grey.histogram())
        paper = int(np.searchsorted(counts, 0.9 * counts[-1]))
        square = Image.new("L", (SIDE, SIDE), paper)
        square.paste(grey, ((SIDE - grey.width) // 2, (SIDE - grey.height) // 2))
        return square, paper

    @cached_property
    def box(self) -> tuple[float, float]:
        """Return how far the page reaches from the middle but for its edges."""
        return reach(self.grey.size)

    @cached_property
    def fine(self) -> Floats:
        """Return the ink, from 0 to 1, float32 [SIDE, SIDE]."""
        square, paper = self._square
        return smooth(_ink(square, paper), SMOOTHED, 3)

    @cached_property
    def levels(self) -> tuple[Level, Level, Level]:
        """Return the page at an eighth, a quarter and a half of SIDE."""
        square, paper = self._square
        middle = smooth(_ink(square.reduce(2), paper), SMOOTHED / 2, 4)
        quarter = half(middle)
        return Level(half(quarter), self.box), Level(quarter, self.box), Level(middle, self.box)


def reach(size: tuple[int, int]) -> tuple[float, float]:
    """Return how far a page of that size reaches from the middle but for its edges."""
    width, height = (side / max(size) - 2 * EDGE for side in size)
    return width, height


def _ink(square: Image.Image, paper: int) -> Floats:
    return (np.float32(paper) - np.asarray(square, np.float32)) / np.float32(255)


def shrink(image: Image.Image) -> Image.Image:
    """Bring a page to the size at which pages are compared, in grey; smaller ones stay small."""
    grey = image.convert("L")
    scale = min(1.0, SIDE / max(grey.size))
    return grey.resize(_sides(grey.size, scale), Image.Resampling.HAMMING)


def _sides(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def align(a: View, b: View, start: Warp | None = None) -> Warp:
    """Find where each point of `a` is in `b`.

    Args:
        a: a page.
        b: another.
        start: where it is about, if that is known.
    """
    if start is None:
        start, _ = lay_roughly(a.levels[0], b.levels[0])
    return lay(a.levels[1:], b.levels[1:], start)


def difference(a: View, b: View, start: Warp | None = None) -> float:
    """Return how far the two are from showing the same sheet, from 0 to 1 and a little more.

    Returns:
        1 less the correlation of the two in the block in which it is lowest. As the variance of
        faint dirt is added to both, paper counts as equal to paper.
    """
    warp = align(a, b, start)
    inside = _inside(a, b, warp)
    if not inside.any():
        return 1.0
    detail = min(a.detail, b.detail)
    if detail >= FULL:
        alike = _correlation(a.levels[-1].ink, warped(b.levels[-1].ink, warp))
        if (far := float(1 - alike[inside].min())) > SURELY_OTHER:
            return far
    fixed, moved = a.fine, warped(b.fine, warp)
    if detail < FULL:
        # One of them shows no more than this.
        fixed, moved = (smooth(values, SMOOTHED / detail, 2.5) for values in (fixed, moved))
    alike = _correlation(fixed, moved)
    blocks = np.argwhere(inside & (1 - alike > SAME))
    if 0 < len(blocks) <= LOOSE and not _one_word_differs(fixed, moved, 1 - alike, inside):
        return float(1 - _loosely(fixed, moved, blocks * STRIDE).min())
    return float(1 - alike[inside].min())


def _one_word_differs(a: Floats, b: Floats, unlike: Floats, inside: Mask) -> bool:
    """Whether a word differs far more than the rest of the page.

    Paper that does not lie flat, dirt and bad scanners make a whole page a little unlike; another
    name of the same length makes one word so, and the print around it not.

    Args:
        a, b: ink, float32 [SIDE, SIDE].
        unlike: 1 less the correlation of each block.
        inside: the blocks that count.
    """
    from scipy.ndimage import uniform_filter

    spreads = [_means(ink * ink, *BLOCKS) - _means(ink, *BLOCKS) ** 2 for ink in (a, b)]
    written = inside & (np.maximum(*spreads) > WRITTEN)
    share = uniform_filter(written.astype(np.float32), WORD)
    full = written & (share > 0.3)
    if not full.any():
        return False
    words = uniform_filter(np.where(written, unlike, np.float32(0)), WORD)[full] / share[full]
    return bool(words.max() > STANDS_OUT * (np.percentile(words, 90) + FAINTLY))


def rough_difference(a: Level, b: Level, warp: Warp) -> float:
    """Return how far two pages differ in the block in which they do most, at an eighth of SIDE."""
    alike = _correlation(a.ink, warped(b.ink, warp), ROUGH_BLOCKS)
    inside = _inside(a, b, warp, ROUGH_BLOCKS)
    return float(1 - alike[inside].min()) if inside.any() else 1.0


def _inside(a: View | Level, b: View | Level, warp: Warp, blocks: tuple[int, int] = BLOCKS) -> Mask:
    """Return which blocks lie on both pages."""
    cells, count = blocks
    axis = (np.arange(cells - count + 1) + count / 2) * 2 / cells - 1
    # A block and a pixel beside it.
    reach = count / cells + 2 / SIDE
    across, down = np.abs(axis)[None], np.abs(axis)[:, None]
    on_a = (across <= a.box[0] - reach) & (down <= a.box[1] - reach)
    (p, q, r), (s, t, u) = warp
    x, y = p * axis[None] + q * axis[:, None] + r, s * axis[None] + t * axis[:, None] + u
    inside: Mask = on_a & (np.abs(x) <= b.box[0] - reach) & (np.abs(y) <= b.box[1] - reach)
    return inside


def _correlation(a: Floats, b: Floats, blocks: tuple[int, int] = BLOCKS) -> Floats:
    """Return the correlation of every block.

    Args:
        a, b: float32 [S, S], of SIDE or a part of it.
        blocks: how many cells there are along a side, and along that of a block.
    """

    def mean(values: Floats) -> Floats:
        return _means(values, *blocks)

    mean_a, mean_b = mean(a), mean(b)
    spread_a = mean(a * a) - mean_a**2 + DIRT
    spread_b = mean(b * b) - mean_b**2 + DIRT
    both = mean(a * b) - mean_a * mean_b + DIRT
    return np.asarray(both / np.sqrt(spread_a * spread_b), np.float32)


def _means(values: Floats, side: int, count: int) -> Floats:
    """Return the mean of every block."""
    cells = np.asarray(Image.fromarray(values).reduce(len(values) // side))
    last = side - count + 1
    rows: Floats = np.add.reduce([cells[i : last + i] for i in range(count)])
    means: Floats = np.add.reduce([rows[:, i : last + i] for i in range(count)])
    return means / np.float32(count**2)


def _loosely(a: Floats, b: Floats, corners: npt.NDArray[np.int64]) -> Floats:
    """Return the correlation of some blocks, each at the best of its places within a pixel."""
    y, x = corners.T
    block = (BLOCK, BLOCK)
    ours = sliding_window_view(a, block)[y, x].reshape(len(y), -1)
    ours = ours - ours.mean(-1, keepdims=True)
    places = sliding_window_view(np.pad(b, 1), block)
    best = np.full(len(y), -1, np.float32)
    for dy in range(3):
        for dx in range(3):
            theirs = places[y + dy, x + dx].reshape(len(y), -1)
            theirs = theirs - theirs.mean(-1, keepdims=True)
            both = (ours * theirs).mean(-1) + DIRT
            spread = ((ours**2).mean(-1) + DIRT) * ((theirs**2).mean(-1) + DIRT)
            np.maximum(best, both / np.sqrt(spread), out=best)
    return best


def differing(model: View, page: View, start: Warp) -> Mask:
    """Return where a page differs from another of its template, bool [SIDE / 2, SIDE / 2]."""
    warp = align(model, page, start)
    alike = _correlation(model.levels[-1].ink, warped(page.levels[-1].ink, warp))
    far = _inside(model, page, warp) & (1 - alike > FILLED)
    found = np.zeros((SIDE // 2, SIDE // 2), bool)
    step, block = STRIDE // 2, BLOCK // 2
    for y, x in np.argwhere(far) * step:
        found[y : y + block, x : x + block] = True
    return found


def filling(model: View, page: View, fields: Mask, start: Warp) -> tuple[Floats, float]:
    """Return what is in the fields of a template.

    Args:
        model: a page of it.
        page: another one, which is laid on it.
        fields: bool [SIDE / 2, SIDE / 2], where the fillings are.
        start: where the points of the one are on the other, about.

    Returns:
        Ink, float32 [F], and the correlation of the two pages beside the fields.
    """
    warp = align(model, page, start)
    middle, other = model.levels[-1], page.levels[-1]
    axis = coordinates(middle.side)
    rows, columns = np.nonzero(fields)
    ink, _ = sampled(other, warp, axis[columns], axis[rows])
    # A ninth of the points tells as much.
    shared = np.zeros_like(fields)
    shared[1::3, 1::3] = ~fields[1::3, 1::3]
    shared[np.abs(axis) > model.box[1]] = False
    shared[:, np.abs(axis) > model.box[0]] = False
    rows, columns = np.nonzero(shared)
    moved, inside = sampled(other, warp, axis[columns], axis[rows])
    fixed, moved = middle.ink[rows, columns][inside], moved[inside]
    if not len(fixed) or np.ptp(fixed) < 0.01 or np.ptp(moved) < 0.01:
        return ink, 0.0
    return ink, float(np.corrcoef(fixed, moved)[0, 1])
