"""Where the points of a page are on another picture of it, or on another page of its template.

From the shift of the phase correlation on, by least squares from coarse to fine. What a small
movement changes is worked out once, on the page that lies still (inverse compositional image
alignment: Baker and Matthews, Lucas-Kanade 20 Years On, 2004), and at points where the page
changes most alone; so a step costs some thousand points, not a picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float32]
# float64 [2, 3]: where a point is, in coordinates from -1 to 1.
Warp = npt.NDArray[np.float64]

# Points along each side: the strongest of every square.
POINTS = 48
# Steps at the coarsest level, and at each of the others.
STEPS, FINER_STEPS = 10, 5
# Steps at the coarsest level after which two pages of one sheet lie almost as well as in the end.
FIRST_STEPS = 3
# By so much they correlate more then, at most: 68 pairs of scans, up to 1.5 degrees and 15 pixels
# apart, have 0.84 and more before.
BETTERED = 0.25
# Steps at the finest at which width and height may stretch unequally.
LOOSE_STEPS = 2
# A step that moves no point by so many pixels is the last.
SETTLED = 0.05
# Below such a contrast the other page says nothing of its place.
FAINT = 0.3
# The farthest that one step goes.
LEAP = 0.05


@dataclass(frozen=True)
class Points:
    """Where a page is compared while another is moved.

    Args:
        x, y: coordinates, float32 [P].
        ink: there, float32 [P].
        ways: what contrast, brightness, shift, size, angle and unequal stretch change, float32
            [8, P].
    """

    x: Floats
    y: Floats
    ink: Floats
    ways: Floats

    @cached_property
    def solved(self) -> Floats:
        """Return what leads from the other page's ink to all ways, float32 [8, P]."""
        return _solved(self.ways)

    @cached_property
    def stiff(self) -> Floats:
        """Return the same for the first six alone, float32 [6, P]."""
        return _solved(self.ways[:6])


@dataclass(frozen=True)
class Level:
    """A page at one size.

    Args:
        ink: from 0 to 1 on a square, float32 [S, S], 0 around the page.
        box: how far the page reaches from the middle but for its edges, across and down, from 0 to
            1.
    """

    ink: Floats
    box: tuple[float, float]

    @property
    def side(self) -> int:
        """Return S."""
        return len(self.ink)

    @cached_property
    def points(self) -> Points:
        """Choose the points at which another page is laid on this."""
        side = self.side
        axis = coordinates(side)
        slopes: Any = np.gradient(self.ink, 2 / side)
        dy, dx = slopes
        strength = dx * dx + dy * dy
        strength[np.abs(axis) > self.box[1]] = -1
        strength[:, np.abs(axis) > self.box[0]] = -1
        square = side // POINTS
        count = side // square
        parts = strength[: count * square, : count * square]
        parts = parts.reshape(count, square, count, square).swapaxes(1, 2)
        parts = parts.reshape(count, count, square * square)
        best = parts.argmax(-1)
        rows, columns = np.nonzero(parts.max(-1) >= 0)
        within = best[rows, columns]
        rows, columns = rows * square + within // square, columns * square + within % square
        x, y, ink = axis[columns], axis[rows], self.ink[rows, columns]
        dx, dy = dx[rows, columns], dy[rows, columns]
        ways = np.stack(
            [
                *(ink, np.ones_like(ink), dx, dy, dx * x + dy * y, dy * x - dx * y),
                *(dx * x - dy * y, dx * y + dy * x),
            ]
        )
        return Points(x, y, ink, ways)


def _solved(ways: Floats) -> Floats:
    normal = (ways @ ways.T).astype(np.float64)
    # On an empty page no movement can be seen.
    normal[np.diag_indices(len(normal))] *= 1.001
    normal[np.diag_indices(len(normal))] += 1e-6
    solved: Floats = np.linalg.inv(normal).astype(np.float32) @ ways
    return solved


def coordinates(side: int) -> Floats:
    """Return where the middles of the pixels are, from -1 to 1."""
    return ((np.arange(side) + 0.5) * 2 / side - 1).astype(np.float32)


def smooth(ink: Floats, sigma: float, truncate: float) -> Floats:
    """Smooth with a Gaussian of `sigma` pixels, which ends at `truncate` times that."""
    # Imported here: a mistake in a command is told before it is needed.
    from scipy.ndimage import gaussian_filter

    smoothed: Floats = gaussian_filter(ink, sigma, truncate=truncate)
    return smoothed


def half(ink: Floats) -> Floats:
    """Halve both sides; smoothed before, as lines of text would make waves that are not there."""
    return np.asarray(Image.fromarray(smooth(ink, 1.0, 3)).reduce(2))


def lay(still: Sequence[Level], moving: Sequence[Level], start: Warp) -> Warp:
    """Find where each point of a page is on another.

    Args:
        still: a page, at rising sizes.
        moving: the other one at the same sizes.
        start: where they are about, as `lay_roughly` found it.
    """
    warp = start
    for a, b in zip(still, moving, strict=True):
        warp = _refine(a, b, warp, FINER_STEPS, stiff=True)
    return _refine(still[-1], moving[-1], warp, LOOSE_STEPS, stiff=False)


def lay_roughly(still: Level, moving: Level, hopeless: float | None = None) -> tuple[Warp, float]:
    """Lay a page on another at the coarsest level.

    Args:
        still: a page.
        moving: the other one.
        hopeless: correlation below which two that were moved a little are moved no further; None:
            all are moved to their end.

    Returns:
        Where the points of the one are on the other, and the correlation of the two there.
    """
    starts = [_shift(still.ink, moving.ink), np.zeros(2)]
    found: list[tuple[float, int, Warp]] = []
    # The strongest shift of a page full of lines or boxes may be one of these.
    for number, shift in enumerate(starts):
        warp: Warp = np.eye(2, 3)
        warp[:, 2] = shift
        steps = STEPS
        if hopeless is not None:
            agree = agreement(still, moving, warp)
            if agree < hopeless - BETTERED:
                found.append((agree, -number, warp))
                continue
            steps -= FIRST_STEPS
            warp = _refine(still, moving, warp, FIRST_STEPS, stiff=True)
            agree = agreement(still, moving, warp)
            if agree < hopeless:
                found.append((agree, -number, warp))
                continue
        warp = _refine(still, moving, warp, steps, stiff=True)
        found.append((agreement(still, moving, warp), -number, warp))
        if found[-1][0] > 0.9:
            break
    agree, _, best = max(found, key=lambda each: each[:2])
    return best, agree


def agreement(still: Level, moving: Level, warp: Warp) -> float:
    """Return the correlation of a page with another that is laid on it, at the strong points."""
    points = still.points
    ink, inside = sampled(moving, warp, points.x, points.y)
    a, b = points.ink[inside], ink[inside]
    if len(a) < 2 or np.ptp(a) < 0.01 or np.ptp(b) < 0.01:
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def _shift(a: Floats, b: Floats) -> npt.NDArray[np.float64]:
    from scipy.fft import irfft2, rfft2

    side = len(a)
    spectrum = rfft2(b) * np.conj(rfft2(a))
    peaks = np.fft.fftshift(irfft2(spectrum / np.maximum(np.abs(spectrum), 1e-6), s=a.shape))
    # A page moves by a tenth at most.
    reach, middle = side // 10, side // 2
    near = peaks[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    row, column = divmod(int(near.argmax()), near.shape[1])
    return np.array([column - reach, row - reach]) * 2.0 / side


def _refine(still: Level, moving: Level, warp: Warp, steps: int, *, stiff: bool) -> Warp:
    """Better a warp by least squares.

    Args:
        still: what is to be met.
        moving: what is warped.
        warp: the one so far.
        steps: at most.
        stiff: change shift, angle and size alone; else width and height stretch unequally.
    """
    points = still.points
    solved = points.stiff if stiff else points.solved
    if len(points.x) < still.side:
        return warp
    expected = points.ink
    for _ in range(steps):
        moved, inside = sampled(moving, warp, points.x, points.y)
        # Beside the other page there is nothing to be met.
        found = solved @ np.where(inside, moved, expected)
        contrast = float(found[0])
        expected = contrast * points.ink + found[1]
        moves = (found[2:] / (contrast if contrast > FAINT else 1.0)).tolist()
        across, down, size, angle, wide, skew = moves if len(moves) == 6 else (*moves, 0.0, 0.0)
        step: Any = np.array(
            [[size + wide, skew - angle, across], [skew + angle, size - wide, down], [0, 0, 0]]
        )
        step = np.clip(step, -LEAP, LEAP)
        # The other page looks like this one moved by the step, so it goes back by it.
        warp = warp @ np.linalg.inv(step + np.eye(3))
        if np.abs(step).max() < 2 * SETTLED / still.side:
            break
    return warp


def sampled(page: Level, warp: Warp, x: Floats, y: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the ink of a page at the warped places of points, and which of these are on it."""
    side = page.side
    (a, b, c), (d, e, f) = warp.astype(np.float32)
    across, down = a * x + b * y + c, d * x + e * y + f
    inside = (np.abs(across) <= page.box[0]) & (np.abs(down) <= page.box[1])
    column = np.clip((across + 1) * (side / 2) - 0.5, 0, side - 1.001)
    row = np.clip((down + 1) * (side / 2) - 0.5, 0, side - 1.001)
    left, top = column.astype(np.int32), row.astype(np.int32)
    column -= left
    row -= top
    flat, at = page.ink.ravel(), top * side + left
    upper = flat[at] * (1 - column) + flat[at + 1] * column
    lower = flat[at + side] * (1 - column) + flat[at + side + 1] * column
    return upper * (1 - row) + lower * row, inside


def warped(ink: Floats, warp: Warp) -> Floats:
    """Return what a page has at the warped place of every pixel, float32 [S, S]."""
    side = len(ink)
    # From coordinates of -1 to 1 to Pillow's, in pixels from the corner.
    shift = (warp[:, 2] + 1 - warp[:, :2].sum(1)) * side / 2
    data = (*warp[0, :2], shift[0], *warp[1, :2], shift[1])
    picture = Image.fromarray(np.ascontiguousarray(ink))
    moved = picture.transform((side, side), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    return np.asarray(moved)
