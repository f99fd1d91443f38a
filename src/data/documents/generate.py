"""Draws the built-in data set: kinds of documents, as unevenly frequent as in real archives."""

import multiprocessing
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from doctune.errors import UserError
from src.data.documents import office, reading
from src.data.documents.page import Page
from src.data.documents.scan import scan
from src.data.documents.worn import HANDLINGS, Pixels, flat, handled
from src.data.progress import show_progress
from src.data.threads import end_if_told

# Raised whenever the same seed would draw other pages, so that no cache is taken for new.
DRAWING_VERSION = 2

# Pages are drawn at this width or more, whatever the size that is asked for.
SMALLEST_BASE = 192

# Pages a task of the process pool.
CHUNK = 50

# How a drawn page becomes a picture: the built-in mix of good and bad scans, a flat scan, or one of
# `HANDLINGS`.
MIXED, FLAT = "mixed", "flat"

# name -> (how to draw it, width over height of the page, relative frequency)
KINDS: dict[str, tuple[Callable[[Page], None], float, float]] = {
    "letter": (office.letter, 0.71, 10),
    "invoice": (office.invoice, 0.71, 9),
    "form": (office.form, 0.71, 8),
    "table_report": (office.table_report, 0.71, 6),
    "receipt": (office.receipt, 0.42, 6),
    "cv": (reading.cv, 0.71, 5),
    "book_page": (reading.book_page, 0.69, 5),
    "slide": (reading.slide, 1.5, 4),
    "newspaper": (reading.newspaper, 0.72, 3.5),
    "exam": (reading.exam, 0.71, 3),
    "id_card": (office.id_card, 1.58, 2.5),
    "note": (reading.note, 0.75, 2),
}


def class_sizes(n_images: int) -> dict[str, int]:
    """Share `n_images` out over the classes by their frequency.

    Raises:
        UserError: too few for the rarest class to be cut into splits and folds.
    """
    total = sum(frequency for _, _, frequency in KINDS.values())
    sizes = {name: round(n_images * kind[2] / total) for name, kind in KINDS.items()}
    if min(sizes.values()) < 8:
        raise UserError(f"data.n_images={n_images}: too few for {len(KINDS)} classes; take 400")
    return sizes


def draw_documents(
    sizes: Mapping[str, int], img_size: int, seed: int, taken: str = MIXED
) -> Pixels:
    """Draw the pages of all classes, one class after the other.

    Every page has its own random generator, so a page depends on `seed`, its class and its
    number alone, not on how many processes draw.

    Args:
        sizes: pages of each class.
        img_size: side of the pictures in pixels.
        seed: of all pages.
        taken: how they become pictures: mixed, flat or one of `HANDLINGS`.

    Returns:
        uint8 [sum of sizes, img_size, img_size, 3].

    Raises:
        concurrent.futures.CancelledError: the pages are no longer wanted (`TO_END`).
    """
    tasks = [
        (name, range(first, min(first + CHUNK, size)), img_size, seed, taken)
        for name, size in sizes.items()
        for first in range(0, size, CHUNK)
    ]
    if multiprocessing.current_process().daemon:
        # A worker of a search may not start processes of its own.
        return np.concatenate([_draw_some(*task) for task in tasks])
    context = multiprocessing.get_context("spawn")
    found = []
    with ProcessPoolExecutor(min(8, os.cpu_count() or 1), mp_context=context) as pool:
        drawn = pool.map(_draw_some, *zip(*tasks, strict=True))
        try:
            for some in show_progress(drawn, f"drawing pages, {CHUNK} at a time", len(tasks)):
                found.append(some)
                end_if_told()
        finally:
            pool.shutdown(cancel_futures=True)
    return np.concatenate(found)


def draw_page(name: str, number: int, img_size: int, seed: int, taken: str = MIXED) -> Pixels:
    """Draw page `number` of a class, uint8 [img_size, img_size, 3]."""
    rng = np.random.default_rng([seed, list(KINDS).index(name), number])
    draw, aspect, _ = KINDS[name]
    base = max(SMALLEST_BASE, img_size)
    aspect *= rng.uniform(0.95, 1.05)
    width, height = (base, round(base / aspect)) if aspect > 1 else (round(base * aspect), base)
    white = int(rng.integers(225, 256))
    page = Page(width, height, rng, (white, white, white - int(rng.integers(0, 20))))
    draw(page)
    if taken == MIXED:
        return scan(page.image, img_size, rng)
    if taken == FLAT:
        return flat(page.image, img_size, rng)
    return handled(page.image, img_size, rng, HANDLINGS[taken])


def _draw_some(name: str, numbers: range, img_size: int, seed: int, taken: str) -> Pixels:
    return np.stack([draw_page(name, number, img_size, seed, taken) for number in numbers])
