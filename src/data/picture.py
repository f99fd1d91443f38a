"""A page as it was found in its file, and how large one may be."""

from dataclasses import dataclass

from PIL import Image

# The largest sheet, A0 in 600 dpi, has 558 million. A file can claim any number in a few bytes.
MOST_PIXELS = 600_000_000


@dataclass(frozen=True)
class Picture:
    """A page, opened.

    Args:
        image: in L or RGB and upright, of a resolution that is enough for what was asked.
        size: width and height in the file, upright: pixels, of a PDF points.
        words: what had to be done to it: "turned", "white is zero", "16 bits".
    """

    image: Image.Image
    size: tuple[int, int]
    words: tuple[str, ...] = ()


def check_size(size: tuple[int, int]) -> None:
    """Refuse what is too large for a page.

    Raises:
        ValueError: says how large it is.
    """
    if size[0] * size[1] > MOST_PIXELS:
        raise ValueError(
            f"{size[0]} x {size[1]} pixels are more than the {MOST_PIXELS // 1_000_000} million "
            "that are read; scan it at a lower resolution, or cut it up"
        )
