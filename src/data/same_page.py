"""Whether two pictures show the same sheet, scanned or saved twice, or two of one template.

A perceptual hash cannot tell: two fillings of a form are nearer to each other than two scans of
one of them that lie half a degree and a few pixels apart. So the two are laid on each other first,
and then compared block by block: what differs between two fillings is little of the whole, but
all of the block that it is in.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

Floats = npt.NDArray[np.float32]
# float64 [2, 3]: where a point is, in coordinates from -1 to 1.
Warp = npt.NDArray[np.float64]

# Side at which pages are compared: smaller, two names or dates in 10 points look the same.
SIDE = 768
# Pages are laid on each other at an eighth, a quarter and a half of it, in so many steps at most.
LEVELS = 3
STEPS = (8, 6, 4)
# A step that moves no point by so many pixels is the last.
SETTLED = 0.05
# Two that differ by no more show the same sheet. Measured by tests.benchmarks.near_duplicates:
# copies and scans of one sheet 0.02 to 0.1, fillings of one template 0.26 and more.
SAME = 0.1
# Smoothed by so many pixels, so that neither grain nor a sharper copy counts; pages with fewer than
# this share of the pixels by as many of their own.
SMOOTHED, FULL = 1.0, 0.8
# Side of a block, about two letters, and how far it is to the next.
BLOCK, STRIDE = 12, 4
# Blocks that may lie elsewhere by a pixel, as paper does not lie flat; where more do, it is
# another page.
LOOSE = 400
# Variance of faint dirt, of the ink's range squared.
DIRT = 0.001
# Share of the page's length at its edges that is not compared: a scan may show there what lies
# beside the sheet.
EDGE = 0.02


@dataclass(frozen=True)
class View:
    """A page as it is compared.

    Args:
        fine: ink from 0 to 1 on a square, float32 [SIDE, SIDE].
        coarse: the same at the smaller sides, the smallest first.
        inner: where the page is but for its edges, as 0 and 1.
        detail: pixels that the page had for each of these, 1 at most.
    """

    fine: Floats
    coarse: tuple[Floats, ...]
    inner: Floats
    detail: float


def shrink(image: Image.Image) -> Image.Image:
    """Bring a page to the size at which pages are compared, in grey; smaller ones stay small."""
    grey = image.convert("L")
    scale = min(1.0, SIDE / max(grey.size))
    return grey.resize(_sides(grey.size, scale), Image.Resampling.BICUBIC)


def _sides(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def view(grey: Image.Image) -> View:
    """Prepare a page for comparisons.

    Args:
        grey: as `shrink` returns it.
    """
    detail = max(grey.size) / SIDE
    if detail < 1:
        grey = grey.resize(_sides(grey.size, 1 / detail), Image.Resampling.BICUBIC)
    levels = np.asarray(grey, np.float32)
    height, width = levels.shape
    paper = float(np.percentile(levels, 90))
    square, inner = np.zeros((2, SIDE, SIDE), np.float32)
    left, top, edge = (SIDE - width) // 2, (SIDE - height) // 2, round(EDGE * SIDE)
    square[top : top + height, left : left + width] = (paper - levels) / 255
    inner[top + edge : top + height - edge, left + edge : left + width - edge] = 1
    pyramid = [_smooth(square, SMOOTHED, 3)]
    for _ in range(LEVELS):
        pyramid.insert(0, _half(pyramid[0]))
    return View(pyramid[-1], tuple(pyramid[:-1]), inner, detail)


def _smooth(values: Floats, sigma: float, truncate: float) -> Floats:
    """Smooth with a Gaussian of `sigma` pixels, which ends at `truncate` times that."""
    # Imported here: a mistake in a command is told before it is needed.
    from scipy.ndimage import gaussian_filter

    smoothed: Floats = gaussian_filter(values, sigma, truncate=truncate)
    return smoothed


def _half(values: Floats) -> Floats:
    """Halve both sides; smoothed before, as lines of text would make waves that are not there."""
    side = len(values) // 2
    smooth = _smooth(values, 1.0, 3)
    small: Floats = smooth.reshape(side, 2, side, 2).mean((1, 3))
    return small


def difference(a: View, b: View) -> float:
    """Return how far the two are from showing the same sheet, from 0 to 1 and a little more.

    Returns:
        1 less the correlation of the two in the block in which it is lowest. As the variance of
        faint dirt is added to both, paper counts as equal to paper.
    """
    warp = align(a, b)
    fixed, moved = a.fine, _warped(b.fine, warp)
    inside = _cells(a.inner * _warped(b.inner, warp)) > 0.99
    if not inside.any():
        return 1.0
    detail = min(a.detail, b.detail)
    if detail < FULL:
        # One of them shows no more than this.
        fixed, moved = (_smooth(values, SMOOTHED / detail, 2.5) for values in (fixed, moved))
    alike = _correlation(fixed, moved)
    far = np.argwhere(inside & (1 - alike > SAME))
    if not len(far):
        return float(1 - alike[inside].min())
    if len(far) > LOOSE:
        return float(1 - alike[inside].min())
    return float(1 - _loosely(fixed, moved, far * STRIDE).min())


def _correlation(a: Floats, b: Floats) -> Floats:
    """Return the correlation of every block, a `STRIDE` apart."""
    mean_a, mean_b = _cells(a), _cells(b)
    spread_a = _cells(a * a) - mean_a**2 + DIRT
    spread_b = _cells(b * b) - mean_b**2 + DIRT
    both = _cells(a * b) - mean_a * mean_b + DIRT
    return np.asarray(both / np.sqrt(spread_a * spread_b), np.float32)


def _cells(values: Floats) -> Floats:
    """Return the mean of every block."""
    side, count = SIDE // STRIDE, BLOCK // STRIDE
    cells = values.reshape(side, STRIDE, side, STRIDE).mean((1, 3))
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


def align(a: View, b: View) -> Warp:
    """Find where each point of `a` is in `b`.

    From the shift of the phase correlation on, by least squares from coarse to fine (Lucas and
    Kanade, 1981): shift, angle and size, in the end unequal stretch too, with brightness and
    contrast among the unknowns.
    """
    warp: Warp = np.eye(2, 3)
    warp[:, 2] = _shift(a.coarse[0], b.coarse[0])
    for level, steps in enumerate(STEPS):
        warp = _refine(a, b, level, warp, steps, stiff=True)
    return _refine(a, b, LEVELS - 1, warp, 2, stiff=False)


def differing(model: View, page: View) -> npt.NDArray[np.bool_]:
    """Return where a page differs from another of its template, bool [SIDE / 2, SIDE / 2]."""
    warp = align(model, page)
    inside = _cells(model.inner * _warped(page.inner, warp)) > 0.99
    far = inside & (1 - _correlation(model.fine, _warped(page.fine, warp)) > SAME)
    found = np.zeros((SIDE // 2, SIDE // 2), bool)
    half, block = STRIDE // 2, BLOCK // 2
    for y, x in np.argwhere(far) * half:
        found[y : y + block, x : x + block] = True
    return found


def filling(model: View, page: View, fields: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
    """Return what is in the fields of a template.

    Args:
        model: a page of it.
        page: another one, which is laid on it.
        fields: bool [SIDE / 2, SIDE / 2], where the fillings are.

    Returns:
        Ink, float32 [F], and the correlation of the two pages beside the fields.
    """
    warp = align(model, page)
    fixed, moved = model.coarse[-1], _warped(page.coarse[-1], warp)
    shared = ~fields & (model.inner[::2, ::2] * _warped(page.inner[::2, ::2], warp) > 0.99)
    if np.ptp(fixed[shared]) < 0.01:
        return moved[fields], 0.0
    return moved[fields], float(np.corrcoef(fixed[shared], moved[shared])[0, 1])


def _shift(a: Floats, b: Floats) -> Warp:
    from scipy.fft import irfft2, rfft2

    side = len(a)
    spectrum = rfft2(b) * np.conj(rfft2(a))
    peaks = np.fft.fftshift(irfft2(spectrum / np.maximum(np.abs(spectrum), 1e-6), s=a.shape))
    # A page moves by a tenth at most.
    reach, middle = side // 10, side // 2
    near = peaks[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    row, column = divmod(int(near.argmax()), near.shape[1])
    return np.array([column - reach, row - reach]) * 2.0 / side


def _refine(a: View, b: View, level: int, warp: Warp, steps: int, *, stiff: bool) -> Warp:
    """Better a warp by least squares.

    Args:
        a: what is to be met.
        b: what is warped.
        level: of `View.coarse`.
        warp: the one so far.
        steps: at most.
        stiff: change shift, angle and size alone; else width and height stretch unequally.
    """
    fixed, moving = a.coarse[level], b.coarse[level]
    side = len(fixed)
    skip = SIDE // side
    axis = ((np.arange(side) + 0.5) * 2 / side - 1).astype(np.float32)
    inside = a.inner[::skip, ::skip] * _warped(b.inner[::skip, ::skip], warp) > 0.99
    rows, columns = np.nonzero(inside)
    if len(rows) < side:
        return warp
    x, y = axis[columns], axis[rows]
    wanted = fixed[inside]
    for _ in range(steps):
        moved = _warped(moving, warp)
        slopes: Any = np.gradient(moved, 2 / side)
        dy, dx = slopes[0][inside], slopes[1][inside]
        # What shift, size, angle and stretch change.
        ways = [dx, dy, dx * x + dy * y, dy * x - dx * y]
        if not stiff:
            ways += [dx * x - dy * y, dx * y + dy * x]
        unknowns = np.stack([moved[inside], np.ones_like(x), *ways])
        normal = (unknowns @ unknowns.T).astype(np.float64)
        normal[np.diag_indices(len(normal))] *= 1.001
        wished = (unknowns @ wanted).astype(np.float64)
        found: Any = np.linalg.lstsq(normal, wished, rcond=None)[0]
        gain = found[0] if found[0] > 0.3 else 1.0
        across, down, size, angle, wide, skew = np.pad(found[2:] / gain, (0, 6 - len(ways)))
        step = np.array([[size + wide, skew - angle, across], [skew + angle, size - wide, down]])
        step = np.clip(step, -0.05, 0.05)
        # Derivatives are at the moved place, so the small step comes first.
        warp = warp @ np.vstack([step + np.eye(2, 3), [0, 0, 1]])
        if np.abs(step).max() < 2 * SETTLED / side:
            break
    return warp


def _warped(values: Floats, warp: Warp) -> Floats:
    """Return what `values` has at the warped place of every point."""
    side = len(values)
    # From coordinates of -1 to 1 to Pillow's, in pixels from the corner.
    shift = (warp[:, 2] + 1 - warp[:, :2].sum(1)) * side / 2
    data = (*warp[0, :2], shift[0], *warp[1, :2], shift[1])
    picture = Image.fromarray(np.ascontiguousarray(values))
    moved = picture.transform((side, side), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    return np.asarray(moved)
