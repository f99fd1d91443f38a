"""One image, from its file to pixels of the size that a model sees.

Any image that Pillow reads, and the pages of PDFs and of TIFFs with several. A page of a file is
named as browsers do it, `scan.pdf#page=2`, counted from 1. What Pillow would show otherwise than a
viewer is left to who knows it better, or refused with the reason (`tiff.py`, `jpeg2000.py`).
"""

import re
import warnings
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from src.data import jpeg2000, pdf, png, tiff
from src.data.formats import HAS_HEIF, HEIF, HEIF_EXTRA, PAGED, is_pdf, is_tiff
from src.data.levels import DEEP, to_grey_or_rgb
from src.data.picture import MOST_PIXELS, Picture, check_size
from src.data.resample import levels, resample

if HAS_HEIF:
    import pillow_heif

    pillow_heif.register_heif_opener()

# Pillow has a limit of its own, meant for programs that take files from strangers.
Image.MAX_IMAGE_PIXELS = MOST_PIXELS

# Broken EXIF data say nothing about the pixels. Told once: `catch_warnings` puts back what it
# found, and of two threads that read side by side one finds what the other has set.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

Pixels = npt.NDArray[np.uint8]

# Raised whenever the same file would be decoded to other pixels, so that no old cache is used.
DECODING_VERSION = 6

# What Pillow calls the data that a program wrote for other programs, and the level that was clear.
NOT_KEPT = ("xmp", "XML:com.adobe.xmp", "transparency")

# pad: the whole page on a white square, as high and wide as it was; stretch: filled to the edges.
FITS = ("pad", "stretch")

# Decoded this much larger before the last resampling, as Pillow's `thumbnail` does: JPEGs decode
# up to 8 times smaller for little work, and text stays as sharp as from the full picture.
REDUCING_GAP = 2.0

_PAGE = re.compile(r"(.+)#page=([1-9][0-9]*)", re.DOTALL)


class UnreadableImageError(Exception):
    """An image that cannot be decoded.

    Args:
        name: of the image, with its page if it has one.
        reason: in a few words.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


def split_page(name: str) -> tuple[str, int]:
    """Split `scan.pdf#page=2` into the file and the index of the page, 1; other names have 0."""
    match = _PAGE.fullmatch(name)
    return (match[1], int(match[2]) - 1) if match else (name, 0)


def page_names(path: Path, name: str) -> list[str]:
    """Return the names of all images of a file: one, or one a page of a PDF or long TIFF.

    Args:
        path: of the file.
        name: what the file is called.

    Raises:
        UnreadableImageError: the pages cannot be counted.
    """
    if path.suffix.lower() not in PAGED:
        return [name]
    try:
        if is_pdf(path):
            count = pdf.count_pages(path)
        else:
            count = tiff.count_pages(path) if is_tiff(path) else 1
    except Exception as error:
        raise UnreadableImageError(name, _reason(path, error)) from error
    if count == 1 and not is_pdf(path):
        return [name]
    return [f"{name}#page={number}" for number in range(1, count + 1)]


def decode(path: Path, size: int, *, fit: str = "pad", page: int = 0, name: str = "") -> Pixels:
    """Decode an image to a square.

    Args:
        path: of the file.
        size: side of the result in pixels.
        fit: one of `FITS`.
        page: index of the page in a PDF or TIFF.
        name: what an error calls it; its path by default.

    Returns:
        uint8 [size, size, 3].

    Raises:
        UnreadableImageError: it is missing, truncated, encrypted, or no image.
    """
    return decode_sized(path, size, fit=fit, page=page, name=name)[0]


def decode_sized(
    path: Path, size: int, *, fit: str = "pad", page: int = 0, name: str = ""
) -> tuple[Pixels, tuple[int, int]]:
    """Return what `decode` does, and the width and height in the file: pixels, of a PDF points."""
    picture = open_image(path, size, page, name)
    return as_square(picture, size, fit), picture.size


def as_square(picture: Picture, size: int, fit: str) -> Pixels:
    """Bring a picture that was opened for that size to it, uint8 [size, size, 3]."""
    image, across, down = picture.image, size, size
    if fit == "pad":
        scale = size / max(image.size)
        across, down = (max(1, round(side * scale)) for side in image.size)
    square = np.full((size, size, 3), 255, np.uint8)
    left, top = (size - across) // 2, (size - down) // 2
    page = square[top : top + down, left : left + across]
    if image.mode == "L":
        grey = levels(resample(image, (across, down), Image.Resampling.BICUBIC, REDUCING_GAP))
        for channel in range(3):
            # All three by one assignment take ten times as long.
            page[..., channel] = grey
    else:
        image = image.resize((across, down), Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP)
        page[:] = np.asarray(image.convert("RGB"))
    return square


def open_image(path: Path, size: int, page: int = 0, name: str = "") -> Picture:
    """Open an image in grey or RGB, in any resolution that is enough for `size` pixels.

    Turned as its EXIF data say, with 16 bits brought to 8, and transparent pixels on white.

    Raises:
        UnreadableImageError: it is missing, truncated, encrypted, too large, or no image.
    """
    return open_at(path, (size,), page, name)[0]


def open_at(path: Path, sizes: Sequence[int], page: int = 0, name: str = "") -> list[Picture]:
    """Open an image as `open_image` does, once for several sizes.

    What comes is what each size alone would give, to the bit. A JPEG that its format makes smaller
    by itself is read for each.

    Raises:
        UnreadableImageError: as in `open_image`.
    """
    wanted = [round(size * REDUCING_GAP) for size in sizes]
    try:
        if is_pdf(path):
            return pdf.draw_page(path, page, wanted)
        if is_tiff(path):
            return tiff.read_page(path, page, wanted)
        return _open(path, page, wanted)
    except Exception as error:
        # Pillow's readers raise anything for broken files: SyntaxError, struct.error, KeyError...
        raise UnreadableImageError(name or str(path), _reason(path, error)) from error


def _open(path: Path, page: int, wanted: Sequence[int]) -> list[Picture]:
    found: list[Picture] = []
    while len(found) < len(wanted):
        with Image.open(path) as image:
            if page:
                image.seek(page)
            check_size(image.size)
            found += _read(path, image, wanted[len(found) :])
    return found


def _read(path: Path, image: Image.Image, wanted: Sequence[int]) -> list[Picture]:
    """Read a picture that is open for the first of some sizes, and for those that need no other.

    Args:
        path: of the file.
        image: as Pillow opened it.
        wanted: lengths of the shorter side that are enough.
    """
    size, first = image.size, wanted[0]
    deep = _deep_jpeg_2000(path, image)
    words = ("16 bits",) if deep or image.mode.startswith(DEEP) else ()
    if png.in_strips(image, first):
        return [_upright(png.read_reduced(path, image, first), image, size, words)]
    alike = list(takewhile(lambda each: not png.in_strips(image, each), wanted))
    if image.draft("RGB", (first, first)) is not None:
        alike = list(takewhile(lambda each: _draft(size, each) == _draft(size, first), alike))
    image.load()
    return [_upright(to_grey_or_rgb(deep or image, each), image, size, words) for each in alike]


def _draft(size: tuple[int, int], wanted: int) -> int:
    """Return by how much Pillow lets a JPEG be divided by its format."""
    return next((by for by in (8, 4, 2) if min(size) // wanted >= by), 1)


def _upright(
    small: Image.Image, image: Image.Image, size: tuple[int, int], words: tuple[str, ...]
) -> Picture:
    """Turn a picture as its file says.

    Args:
        small: the picture.
        image: as Pillow opened it.
        size: width and height in the file.
        words: what is odd so far.
    """
    # The EXIF data are there. Where these say nothing Pillow would ask XMP; viewers do not.
    small.info = {key: image.info[key] for key in image.info if key not in NOT_KEPT}
    orientation = _orientation(small)
    if orientation not in tiff.TRANSPOSE:
        return Picture(small, size, words)
    size = size[::-1] if orientation in tiff.ON_ITS_SIDE else size
    return Picture(small.transpose(tiff.TRANSPOSE[orientation]), size, (*words, "turned"))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(tiff.ORIENTATION, 1))
    except Exception:
        # Broken EXIF data say nothing about the pixels.
        return 1


def _deep_jpeg_2000(path: Path, image: Image.Image) -> Image.Image | None:
    """Read what Pillow would read wrong."""
    if image.format != "JPEG2000" or image.mode.startswith(DEEP):
        return None
    bits = jpeg2000.bits_of(path)
    return jpeg2000.read_deep(path, bits) if bits > 8 else None


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, UnidentifiedImageError):
        if path.suffix.lower() in HEIF and not HAS_HEIF:
            return f"a picture of a phone, which needs {HEIF_EXTRA}"
        return "no image that can be read"
    text = str(error).splitlines()[0] if str(error) else ""
    return text or type(error).__name__
