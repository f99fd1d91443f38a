"""Grey pages brought to another size, as Pillow's filters do it, in a third of their time.

Each row of the result is a sum of some rows, and each column of some columns, so both passes are
products with matrices that are zero but for a band. Pillow adds up pixel by pixel in integers; here
some rows at a time are one dense product with what of the band they need, which processors do many
numbers at a time. Nothing is rounded between the passes.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
_Filter = Callable[[Doubles], Doubles]

# Rows of the result that are one product: with more, most of it would be zeros.
TOGETHER = 32
# The slope of the cubic at 1 (Keys, Cubic convolution interpolation for digital image processing,
# 1981), as in Pillow.
SLOPE = -0.5


def _bilinear(x: Doubles) -> Doubles:
    return 1 - x


def _cubic(x: Doubles) -> Doubles:
    near = ((SLOPE + 2) * x - (SLOPE + 3)) * x * x + 1
    return np.where(x < 1, near, (((x - 5) * x + 8) * x - 4) * SLOPE)


def _lanczos(x: Doubles) -> Doubles:
    return np.sinc(x) * np.sinc(x / 3)


# Of each how far it reaches, in pixels of the smaller picture, and what it is there.
_FILTERS: dict[Image.Resampling, tuple[float, _Filter]] = {
    Image.Resampling.BILINEAR: (1.0, _bilinear),
    Image.Resampling.BICUBIC: (2.0, _cubic),
    Image.Resampling.LANCZOS: (3.0, _lanczos),
}


def resample(
    grey: Image.Image, size: tuple[int, int], by: Image.Resampling, gap: float | None = None
) -> Floats:
    """Bring a picture to a size.

    Args:
        grey: in mode L.
        size: width and height to bring it to.
        by: the filter: bilinear, bicubic or Lanczos's.
        gap: reduced to so many times that at least by whole numbers first, as Pillow's `resize`
            does where it is much larger.

    Returns:
        float32 [height, width], levels that may lie somewhat beyond 0 and 255.
    """
    (across, down), (width, height) = grey.size, size
    factors = (1, 1)
    if gap is not None:
        factors = max(1, int(across / width / gap)), max(1, int(down / height / gap))
    pixels = np.asarray(grey.reduce(factors) if max(factors) > 1 else grey).astype(np.float32)
    tall = np.empty((height, pixels.shape[1]), np.float32)
    for part in _parts(pixels.shape[0], height, down / factors[1], by):
        np.matmul(part.weights, pixels[part.of], out=tall[part.rows])
    small = np.empty((height, width), np.float32)
    for part in _parts(pixels.shape[1], width, across / factors[0], by):
        small[:, part.rows] = tall[:, part.of] @ part.weights.T
    return small


def levels(values: Floats) -> npt.NDArray[np.uint8]:
    """Round to 0 to 255, in place."""
    values += 0.5
    return values.clip(0, 255, out=values).astype(np.uint8)


class _Part(NamedTuple):
    """Some rows of the result, the rows that they are sums of, and how."""

    rows: slice
    of: slice
    weights: Floats


# Most pages of a data set have a few sizes.
@lru_cache(128)
def _parts(count: int, wanted: int, length: float, by: Image.Resampling) -> tuple[_Part, ...]:
    """Return the products that make rows fewer, or more.

    Args:
        count: of the rows that there are.
        wanted: rows.
        length: of the page, in rows that there are: the last may lie on the page in part.
        by: the filter.
    """
    return tuple(_each_part(count, wanted, length / wanted, *_FILTERS[by]))


def _each_part(count: int, wanted: int, scale: float, reach: float, of: _Filter) -> Iterator[_Part]:
    # Of a larger picture the filter looks at more rows, of a smaller one at its nearest.
    step = max(scale, 1.0)
    for first in range(0, wanted, TOGETHER):
        rows = np.arange(first, min(first + TOGETHER, wanted))
        centres = (rows + 0.5) * scale
        top = max(0, int(centres[0] - reach * step))
        end = min(count, int(np.ceil(centres[-1] + reach * step)) + 1)
        places = np.abs(np.arange(top, end) + 0.5 - centres[:, None]) / step
        weights = np.where(places < reach, of(places), 0.0)
        weights /= weights.sum(1, keepdims=True)
        yield _Part(slice(first, first + len(rows)), slice(top, end), weights.astype(np.float32))
