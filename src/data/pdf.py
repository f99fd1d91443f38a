"""Pages of PDFs as viewers draw them: with fields, ticks, stamps and visible signatures."""

import multiprocessing
import threading
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pypdfium2 as pdfium
import pypdfium2.raw as raw
from PIL import Image

from src.data.kept_open import KeptOpen
from src.data.picture import Picture
from src.hardware.detect import cores

# PDFium may only be entered by one thread at a time.
_PDFIUM = threading.Lock()
# A document is opened again after so many pages, as PDFium keeps what it has read of each.
PAGES_AN_OPENING = 250
# Seconds of drawing after which other processes help; each takes a second to start.
ALONE = 3.0


class _Document:
    """An open PDF, with its forms ready to be drawn."""

    def __init__(self, path: Path) -> None:
        self.pdf = pdfium.PdfDocument(path)
        self.drawn = 0
        # Before any page is taken, or its fields are not drawn.
        self.has_forms = bool(self.pdf.init_forms())
        self.pages = len(self.pdf)

    def close(self) -> None:
        self.pdf.close()

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
    several=lambda document: document.pages > 1 and document.drawn < PAGES_AN_OPENING,
    most=4,
)


def count_pages(path: Path) -> int:
    """Return the number of pages."""
    with _PDFIUM, _OPEN.take(path) as document:
        return document.pages


def draw_page(path: Path, index: int, side: int) -> Picture:
    """Draw a page in grey, or in RGB where anything is coloured.

    Args:
        path: of the file.
        index: of the page, from 0.
        side: length of its longer side in pixels.

    Raises:
        ValueError: there is no such page.
    """
    helpers = _helpers
    return _draw(path, index, side) if helpers is None else helpers.draw(path, index, side)


def _draw(path: Path, index: int, side: int) -> Picture:
    with _PDFIUM, _OPEN.take(path) as document:
        if index >= document.pages:
            raise ValueError(f"it has only {document.pages} pages")
        page = document.page(index)
        document.drawn += 1
        size = page.get_size()
        bitmap = page.render(scale=side / max(1.0, *size))
        image = _in_grey(bitmap.to_numpy()) or bitmap.to_pil().convert("RGB")
        bitmap.close()
        page.close()
        return Picture(image, (round(size[0]), round(size[1])))


def _in_grey(drawn: npt.NDArray[np.uint8]) -> Image.Image | None:
    """Return a bitmap [H, W, 3 or 4] in grey where nothing on it has a colour.

    Most pages are such, and take a quarter of the time to be made smaller.
    """
    channels, bytes_in_order = drawn.shape[-1], drawn.reshape(-1)
    # Where a byte is another than the next: from the last of a pixel's colours on it may be.
    steps = np.flatnonzero(bytes_in_order[:-1] != bytes_in_order[1:]) % channels
    if (steps < 2).any():
        return None
    return Image.fromarray(drawn[..., 0].copy())


class _Helpers:
    """Processes that draw, started when there turns out to be much to draw."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds = 0.0
        self._pool: ProcessPoolExecutor | None = None
        # A worker of a search may not start processes of its own.
        self._alone = cores() == 1 or multiprocessing.current_process().daemon

    def draw(self, path: Path, index: int, side: int) -> Picture:
        """Draw a page in one of the processes, or here as long as there are none."""
        pool = self._processes()
        if pool is not None:
            try:
                return pool.submit(_draw, path, index, side).result()
            except BrokenExecutor:
                # From a notebook none can be started, or one was killed.
                self._alone = True
        before = time.thread_time()
        try:
            return _draw(path, index, side)
        finally:
            self._seconds += time.thread_time() - before

    def _processes(self) -> ProcessPoolExecutor | None:
        with self._lock:
            if self._alone or self._seconds < ALONE:
                return None
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(cores(), mp_context=context)
            return self._pool

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


_helpers: _Helpers | None = None


@contextmanager
def drawn_in_processes() -> Iterator[None]:
    """Let other processes draw within the block, as soon as it is worth while."""
    global _helpers
    if _helpers is not None:
        yield
        return
    _helpers = helpers = _Helpers()
    try:
        yield
    finally:
        _helpers = None
        helpers.close()
        with _PDFIUM:
            _OPEN.close()
