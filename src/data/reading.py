"""Pages of a file as a data set takes them: what they look like, and their pixels.

Read in any process; so nothing is imported here that only who keeps it needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from src.data.decode import Pixels, UnreadableImageError, as_square, open_at
from src.data.phash import SQUARE, phash
from src.data.picture import Picture
from src.data.seen_file import SEEN, Seen
from src.data.spectrum import spectrum_and_ink

# Decoded a little larger than the hash looks at it, a page is the same at whatever resolution it
# was scanned.
SEEN_AT = 2 * SQUARE
# A picture is blank where, but for its margins, no more than this share is darker than the paper
# by so many levels of 255: a letter of one line has 20 times as much, dust a tenth. Where the paper
# is dark, as in a negative, what is brighter is written on it.
BLANK, DARKER, MARGIN, DARK = 0.0002, 40, 0.05, 128


@dataclass(frozen=True)
class Page:
    """An image of a file, or what is wrong with it.

    Args:
        fault: why it cannot be read; empty where it can.
        size: width and height, in pixels or in points of a PDF.
        words: what had to be done to it and what is odd, as in `Picture`; "blank".
        place: in the file of what pages look like, as `src/data/seen_file.py` counts.
    """

    fault: str = ""
    size: tuple[int, int] = (0, 0)
    words: tuple[str, ...] = ()
    place: int = -1


class Read(NamedTuple):
    """A page as it comes from reading.

    Args:
        page: what is known of it, but for its place.
        seen: what it looks like, SEEN []; None where it cannot be read.
        pixels: as they are wanted, uint8 [size, size, 3]; None where none are.
    """

    page: Page
    seen: Seen | None = None
    pixels: Pixels | None = None


def read_pages(
    path: Path, indices: Sequence[int], square: tuple[int, str] | None = None
) -> list[Read]:
    """Read some pages of a file.

    Args:
        path: of it.
        indices: of the pages.
        square: side and fit of the pixels that are wanted, too.
    """
    sizes = (SEEN_AT,) if square is None else (SEEN_AT, square[0])
    opened = [_open(path, sizes, index) for index in indices]
    good = [pictures for pictures in opened if not isinstance(pictures, str)]
    # Of all pages one thing after the other: page by page, each step would find its code and tables
    # gone from the processor's cache, and take up to twice the time.
    greys = [pictures[0].image.convert("L") for pictures in good]
    blank = [("blank",) if _is_blank(grey) else () for grey in greys]
    looks = [phash(grey) for grey in greys]
    waves = [spectrum_and_ink(grey) for grey in greys]
    pixels = [as_square(pictures[1], *square) if square else None for pictures in good]
    pages = (
        Read(
            Page("", pictures[0].size, (*pictures[0].words, *blank[at])),
            np.array((looks[at], *waves[at]), SEEN),
            pixels[at],
        )
        for at, pictures in enumerate(good)
    )
    return [Read(Page(fault=one)) if isinstance(one, str) else next(pages) for one in opened]


def _open(path: Path, sizes: Sequence[int], index: int) -> list[Picture] | str:
    """Open a page for some sizes, or say why it cannot be read."""
    try:
        return open_at(path, sizes, index)
    except UnreadableImageError as error:
        return error.reason


def _is_blank(image: Image.Image) -> bool:
    """Whether there is nothing on a page in grey."""
    edges = (round(image.width * MARGIN), round(image.height * MARGIN))
    histogram = np.array(ImageOps.crop(image, edges).histogram())
    counts = np.cumsum(histogram)
    paper = int(np.searchsorted(counts, counts[-1] / 2))
    if paper < DARK:
        counts, paper = np.cumsum(histogram[::-1]), 255 - paper
    darker = paper - DARKER
    return bool(darker <= 0 or counts[darker - 1] <= BLANK * counts[-1])
