"""From the levels that a file has, 1 to 64 bits of grey or colour, to 8 bits of grey or RGB.

Large pages are reduced in their own mode, a strip at a time: a page of 100 megapixels takes
100 MB in black and white, and would take 400 MB in RGB. What is grey stays grey: to bring it to
another size takes a quarter of the time.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

# Pixels from which on a page is read strip by strip; ordinary ones are faster as a whole.
LARGE = 32_000_000
# Samples of a strip that is reduced at once.
STRIP = 4_000_000

GREY = ("1", "L")
# Numbers of 16 bits or more, or floats.
DEEP = ("I", "F")


def to_grey_or_rgb(image: Image.Image, wanted: int) -> Image.Image:
    """Bring an image to L or RGB, transparent pixels on white.

    Args:
        image: loaded, in any mode of Pillow's.
        wanted: length of its shorter side that is enough; it is divided by a whole number.
    """
    width, height = image.size
    factor = max(1, min(width, height) // wanted)
    if factor == 1:
        return _to_8_bits(image).convert(_mode_of(image))
    rows = max(1, STRIP // width // factor) * factor
    top = None
    if image.mode.startswith(DEEP):
        # Not strip by strip: a strip does not tell the range of all.
        top = brightest(np.asarray(image))
    strips = (
        image.crop((0, upper, width, min(height, upper + rows))) for upper in range(0, height, rows)
    )
    return reduce_strips(strips, image, image.size, factor, top)


def reduce_strips(
    strips: Iterable[Image.Image],
    image: Image.Image,
    size: tuple[int, int],
    factor: int,
    top: float | None = None,
) -> Image.Image:
    """Bring an image to L or RGB, a strip at a time.

    Args:
        strips: from its upper edge on, of any height.
        image: all of it, opened; its mode counts.
        size: width and height, as the strips lie.
        factor: by which both sides are divided.
        top: the level of white, where there are more than 255.
    """
    mode = _mode_of(image)
    small = Image.new(mode, (-(-size[0] // factor), -(-size[1] // factor)))
    rest, row = None, 0
    for strip in strips:
        lines = _to_8_bits(strip, top).convert(mode)
        if rest is not None:
            lines = _stacked(rest, lines)
        whole = lines.height // factor
        if whole:
            small.paste(lines.reduce(factor, (0, 0, lines.width, whole * factor)), (0, row))
        row += whole
        # What is left over belongs to the next row.
        left = lines.height > whole * factor
        rest = lines.crop((0, whole * factor, lines.width, lines.height)) if left else None
    if rest is not None:
        small.paste(rest.reduce(factor), (0, row))
    return small


def reduce_scattered(
    parts: Iterable[tuple[Image.Image, range, range]],
    image: Image.Image,
    size: tuple[int, int],
    factor: int,
    top: float | None = None,
) -> Image.Image:
    """Bring an image to L or RGB from parts whose pixels do not lie side by side in it.

    Args:
        parts: each with the columns and the rows of the image that its own are; together all.
        image: all of it, opened; its mode counts.
        size: its width and height.
        factor: by which both sides are divided.
        top: the level of white, where there are more than 255.
    """
    mode = _mode_of(image)
    sums = np.zeros((-(-size[1] // factor), -(-size[0] // factor), len(mode)), np.uint32)
    for part, columns, rows in parts:
        levels: npt.NDArray[Any] = np.asarray(_to_8_bits(part, top).convert(mode))
        levels = levels.reshape(len(rows), len(columns), len(mode))
        places, firsts = zip(
            *(np.unique(np.array(at) // factor, return_index=True) for at in (rows, columns)),
            strict=True,
        )
        for axis in range(2):
            levels = np.add.reduceat(levels, firsts[axis], axis, np.uint32)
        sums[np.ix_(*places)] += levels
    sides = (np.minimum(factor, side - np.arange(0, side, factor)) for side in (size[1], size[0]))
    counts = np.outer(*sides)[..., None]
    small = ((sums + counts // 2) // counts).astype(np.uint8)
    return Image.fromarray(small[..., 0] if mode == "L" else small)


def _mode_of(image: Image.Image) -> str:
    """Return the mode in which all of an image can be shown, L or RGB."""
    if image.mode.startswith(DEEP):
        return "L"
    return "L" if image.mode in GREY and not image.has_transparency_data else "RGB"


def _stacked(upper: Image.Image, lower: Image.Image) -> Image.Image:
    both = Image.new(lower.mode, (lower.width, upper.height + lower.height))
    both.paste(upper)
    both.paste(lower, (0, upper.height))
    return both


def _to_8_bits(image: Image.Image, top: float | None = None) -> Image.Image:
    if image.mode.startswith(DEEP):
        values = np.asarray(image)
        levels = scaled(values, brightest(values) if top is None else top)
        clear = image.info.get("transparency")
        if isinstance(clear, int):
            levels = np.where(values == clear, np.uint8(255), levels)
        image = Image.fromarray(levels)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return image


def brightest(values: npt.NDArray[Any]) -> float:
    """Return the level of white: the largest of the type, or of the range that is in use."""
    most = float(np.nanmax(values)) if values.size else 0.0
    if values.dtype.kind == "f":
        return next((top for top in (1.0, 255.0, 65535.0) if most <= top), most)
    largest = float(np.iinfo(values.dtype).max)
    # Larger numbers are mostly pictures of 8 or 16 bits that a program has counted in them.
    ranges = (255.0, 65535.0) if values.dtype.itemsize > 2 else ()
    return next((top for top in ranges if most <= top), largest)


def scaled(
    values: npt.NDArray[Any], top: float, *, white_is_zero: bool = False
) -> npt.NDArray[np.uint8]:
    """Bring levels to 0..255.

    Args:
        values: of any type.
        top: the level of white. Where signed numbers go below 0, black is the lowest of the type.
        white_is_zero: the levels count ink, not light.
    """
    low = 0.0
    if values.dtype.kind == "i" and values.size and values.min() < 0:
        low = -top - 1
    shares = np.nan_to_num((values.astype(np.float32) - low) * (255 / (top - low)))
    levels: npt.NDArray[np.uint8] = np.clip(np.rint(shares), 0, 255).astype(np.uint8)
    return 255 - levels if white_is_zero else levels
