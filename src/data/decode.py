"""One image, from its file to pixels of the size that a model sees.

Any image that Pillow reads, and the pages of PDFs and of TIFFs with several. A page of a file is
named as browsers do it, `scan.pdf#page=2`, counted from 1.
"""

import re
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pypdfium2 as pdfium
from PIL import Image, ImageOps, UnidentifiedImageError

Pixels = npt.NDArray[np.uint8]

# Raised whenever the same file would be decoded to other pixels, so that no old cache is used.
DECODING_VERSION = 1

# What counts as an image in a folder; the first may hold several pages.
PAGED = (".pdf", ".tif", ".tiff")
SUFFIXES = (
    *PAGED,
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".jp2"),
    *(".ppm", ".pgm", ".pbm"),
)
# pad: the whole page on a white square, as high and wide as it was; stretch: filled to the edges.
FITS = ("pad", "stretch")

# Decoded this much larger before the last resampling, as Pillow's `thumbnail` does: JPEGs decode
# up to 8 times smaller for little work, and text stays as sharp as from the full picture.
REDUCING_GAP = 2.0

_PAGE = re.compile(r"(.+)#page=([1-9][0-9]*)", re.DOTALL)
# PDFium may only be entered by one thread at a time.
_PDFIUM = threading.Lock()


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
    suffix = path.suffix.lower()
    if suffix not in PAGED:
        return [name]
    try:
        if suffix == ".pdf":
            with _PDFIUM, pdfium.PdfDocument(path) as pdf:
                count = len(pdf)
        else:
            with Image.open(path) as image:
                count = getattr(image, "n_frames", 1)
    except Exception as error:
        raise UnreadableImageError(name, _reason(error)) from error
    if count == 1 and suffix != ".pdf":
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
    return np.asarray(_fit(open_image(path, size, page, name), size, fit), dtype=np.uint8)


def open_image(path: Path, size: int, page: int = 0, name: str = "") -> Image.Image:
    """Open an image in RGB, in any resolution that is enough for `size` pixels.

    Turned as its EXIF data say, with 16 bits brought to 8, and transparent pixels on white.

    Raises:
        UnreadableImageError: it is missing, truncated, encrypted, or no image.
    """
    try:
        if path.suffix.lower() == ".pdf":
            return _render(path, page, size)
        return _open(path, page, size)
    except Exception as error:
        # Pillow's readers raise anything for broken files: SyntaxError, struct.error, KeyError...
        raise UnreadableImageError(name or str(path), _reason(error)) from error


def _open(path: Path, page: int, size: int) -> Image.Image:
    with warnings.catch_warnings():
        # Large scans are no attack; Pillow still refuses twice this size.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        # Broken EXIF data say nothing about the pixels.
        warnings.simplefilter("ignore", UserWarning)
        with Image.open(path) as image:
            if page:
                image.seek(page)
            wanted = round(size * REDUCING_GAP)
            image.draft("RGB", (wanted, wanted))
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        image = Image.fromarray(_to_8_bits(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return image.convert("RGB")


def _to_8_bits(values: npt.NDArray[Any]) -> Pixels:
    """Bring grey levels of 16 or 32 bits, or floats, to 0..255."""
    if values.dtype.kind == "f":
        top = 1.0 if np.nanmax(values) <= 1 else 255.0
    else:
        top = 65535.0 if values.dtype.itemsize == 2 or values.max() > 255 else 255.0
    scaled = np.nan_to_num(values.astype(np.float32) * (255 / top))
    levels: Pixels = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return levels


def _render(path: Path, page: int, size: int) -> Image.Image:
    """Draw a page of a PDF, its longer side `REDUCING_GAP` times as long as needed."""
    with _PDFIUM, pdfium.PdfDocument(path) as pdf:
        if page >= len(pdf):
            raise ValueError(f"it has only {len(pdf)} pages")
        sheet = pdf[page]
        scale = REDUCING_GAP * size / max(1.0, *sheet.get_size())
        image: Image.Image = sheet.render(scale=scale).to_pil().convert("RGB")
        sheet.close()
        return image


def _fit(image: Image.Image, size: int, fit: str) -> Image.Image:
    if fit == "stretch":
        return image.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP)
    scale = size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP)
    square = Image.new("RGB", (size, size), "white")
    square.paste(image, ((size - width) // 2, (size - height) // 2))
    return square


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, UnidentifiedImageError):
        return "no image that can be read"
    text = str(error).splitlines()[0] if str(error) else ""
    return text or type(error).__name__
