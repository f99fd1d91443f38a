"""Pages of PDFs as viewers draw them: with fields, ticks, stamps and visible signatures."""

import ctypes
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pypdfium2 as pdfium
import pypdfium2.raw as raw
from PIL import Image

from src.data.kept_open import KeptOpen
from src.data.picture import Picture

# PDFium may only be entered by one thread at a time.
_PDFIUM = threading.Lock()
# A document is opened again when so many bytes of it were read, as PDFium keeps them.
BYTES_AN_OPENING = 64_000_000
# Longer side in which a page is drawn at least, and smaller ones made from that. One drawing serves
# for what a page looks like (256 pixels) and for models of up to 256, each the same without the
# other; PDFium takes nearly as long for half the size, and puts letters on whole pixels.
LEAST = 512
# Rows of a bitmap that are looked at together.
BAND = 64
# Where the next colour of a pixel is, and the bits in which one of three differs from it, if any
# does; of four bytes the last is unused.
LITTLE = sys.byteorder == "little"
SHIFT, COLOURS = (8, 0xFFFF) if LITTLE else (8, 0xFFFF00)


class _Document:
    """An open PDF, with its forms ready to be drawn."""

    def __init__(self, path: Path) -> None:
        self.pdf = pdfium.PdfDocument(path)
        self._bytes = path.stat().st_size
        self.drawn = 0
        # Before any page is taken, or its fields are not drawn.
        self.has_forms = bool(self.pdf.init_forms())
        self.pages = len(self.pdf)

    def close(self) -> None:
        self.pdf.close()

    def is_needed(self) -> bool:
        """Whether pages are left, and what was read of it is not too much."""
        read = self._bytes * self.drawn // max(1, self.pages)
        return self.drawn == 0 or (self.pages > 1 and read < BYTES_AN_OPENING)

    def page(self, index: int) -> pdfium.PdfPage:
        """Take a page with its fields.

        Pages that were split off a form have fields without the form that they belong to, which
        PDFium passes over; as a part of the page itself it draws them.
        """
        page = self.pdf[index]
        if not self.has_forms and _has_fields(page):
            raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY)
            page.close()
            page = self.pdf[index]
        return page


def _has_fields(page: pdfium.PdfPage) -> bool:
    for index in range(raw.FPDFPage_GetAnnotCount(page)):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        kind = raw.FPDFAnnot_GetSubtype(annotation)
        raw.FPDFPage_CloseAnnot(annotation)
        if kind == raw.FPDF_ANNOT_WIDGET:
            return True
    return False


_OPEN = KeptOpen(
    _Document,
    _Document.close,
    several=_Document.is_needed,
    most=4,
)


def count_pages(path: Path) -> int:
    """Return the number of pages."""
    with _PDFIUM, _OPEN.take(path) as document:
        return document.pages


def draw_page(path: Path, index: int, sides: Sequence[int]) -> list[Picture]:
    """Draw a page in grey, or in RGB where anything is coloured.

    Args:
        path: of the file.
        index: of the page, from 0.
        sides: lengths that its longer side is to have in pixels, or more but less than twice that.
            The page is read once for all of them, and drawn once for all up to `LEAST`.

    Raises:
        ValueError: there is no such page.
    """
    with _PDFIUM, _OPEN.take(path) as document:
        if index >= document.pages:
            raise ValueError(f"it has only {document.pages} pages")
        page = document.page(index)
        document.drawn += 1
        drawn = {least: _draw(page, least) for least in {max(side, LEAST) for side in sides}}
        page.close()
    return [_at_least(drawn[max(side, LEAST)], side) for side in sides]


def _at_least(picture: Picture, side: int) -> Picture:
    """Halve a picture, or third it, as long as its longer side is no shorter than that."""
    factor = max(picture.image.size) // side
    return replace(picture, image=picture.image.reduce(factor)) if factor > 1 else picture


def _draw(page: pdfium.PdfPage, side: int) -> Picture:
    size = page.get_size()
    bitmap = page.render(
        scale=side / max(1.0, *size), prefer_bgrx=True, bitmap_maker=_CANVAS.bitmap
    )
    image = _in_grey(bitmap.to_numpy()) or bitmap.to_pil().convert("RGB")
    bitmap.close()
    return Picture(image, (round(size[0]), round(size[1])))


class _Canvas:
    """Memory that pages are drawn in, one after the other: fresh one takes longer than most."""

    def __init__(self) -> None:
        self._buffer = (ctypes.c_ubyte * 0)()

    def bitmap(
        self, width: int, height: int, format: int, rev_byteorder: bool = False
    ) -> pdfium.PdfBitmap:
        """Return a bitmap in it, valid until the next one; as pypdfium2 asks for one."""
        stride = width * 4
        if len(self._buffer) < stride * height:
            self._buffer = (ctypes.c_ubyte * (stride * height))()
        return pdfium.PdfBitmap.new_native(
            width, height, format, rev_byteorder, self._buffer, stride
        )


_CANVAS = _Canvas()


def close_files() -> None:
    """Close the files that wait for their next page."""
    with _PDFIUM:
        _OPEN.close()


def _in_grey(drawn: npt.NDArray[np.uint8]) -> Image.Image | None:
    """Return a bitmap [H, W, 4] in grey where nothing on it has a colour; its fourth is unused.

    Most pages are such, and take a quarter of the time to be made smaller.
    """
    pixels = drawn.view(np.uint32)[..., 0]
    # A band at a time, as large new arrays take longer than what is done with them.
    for top in range(0, len(pixels), BAND):
        band = pixels[top : top + BAND]
        other = band >> SHIFT
        other ^= band
        other &= COLOURS
        if np.bitwise_or.reduce(other, axis=None):
            return None
    return Image.fromarray((pixels if LITTLE else pixels >> 24).astype(np.uint8))
