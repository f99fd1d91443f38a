"""What is in the files of a data set, found once: their content, pages, looks and faults.

Each file is read once, whatever the size that images are wanted at later, and what was found is
kept in an index. A file is read again when its size or time of change is another; one that was
only moved or copied is recognised by its content.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from doctune.files import write_text
from src.data.cache import lock
from src.data.decode import (
    Pixels,
    UnreadableImageError,
    as_square,
    open_at,
    page_names,
    split_page,
)
from src.data.decoded import RowsAhead
from src.data.formats import PAGED
from src.data.phash import SQUARE, phash
from src.data.picture import Picture
from src.data.processes import near_file, pdfs_in_processes
from src.data.progress import counting
from src.data.spectrum import spectrum
from src.data.threads import map_ahead

# Raised whenever the same file would be described differently, so that no old index is used.
VERSION = 5

# Decoded a little larger than the hash looks at it, a page is the same at whatever resolution it
# was scanned.
SEEN_AT = 2 * SQUARE
# Pages of one file that are read together, and bytes of their pixels; where there are more, some
# are read side by side.
TOGETHER, BYTES = 16, 4_000_000
# Seconds after which what was found so far is kept.
SAVE_EVERY = 60.0


# A picture is blank where, but for its margins, no more than this share is darker than the paper
# by so many levels of 255: a letter of one line has 20 times as much, dust a tenth.
BLANK, DARKER, MARGIN = 0.0002, 40, 0.05


@dataclass(frozen=True)
class Page:
    """An image of a file, or what is wrong with it.

    Args:
        look: its perceptual hash in hexadecimal.
        fault: why it cannot be read; empty where it can.
        size: width and height, in pixels or in points of a PDF.
        words: what had to be done to it and what is odd, as in `Picture`; "blank".
        waves: its spectrum, as `src/data/spectrum.py` describes pages.
    """

    look: str = ""
    fault: str = ""
    size: tuple[int, int] = (0, 0)
    words: tuple[str, ...] = ()
    waves: str = ""


@dataclass(frozen=True)
class FileFacts:
    """A file as it was when it was read."""

    size: int
    changed_ns: int
    # Of the bytes; empty where they could not be read.
    digest: str
    # Under the names of its images without the name of the file: "" or "#page=2".
    pages: dict[str, Page]


def inspect_files(
    root: Path, names: Iterable[str], cache_dir: str, ahead: RowsAhead | None = None
) -> dict[str, FileFacts]:
    """Return what is in the named files, read now or known from before.

    Args:
        root: the folder that the names are relative to.
        names: without pages.
        cache_dir: where the index is kept.
        ahead: takes the pixels of all images, if all files are new.
    """
    names = list(dict.fromkeys(names))
    key = hashlib.sha256(f"{VERSION} {root.resolve()}".encode()).hexdigest()[:12]
    path = Path(cache_dir) / f"index-{key}.json"
    known = _load(path)
    if not _outdated(root, names, known):
        return {name: known[name] for name in names}
    with lock(path):
        known = _load(path)
        outdated = _outdated(root, names, known)
        if ahead is not None and len(outdated) < len(names):
            ahead = None
        with pdfs_in_processes():
            counts = _count_pages(root, outdated)
            if ahead is not None:
                ahead.reserve(counts)
            _read(root, counts, known, lambda: _save(path, known), ahead)
    return {name: known[name] for name in names}


def _outdated(root: Path, names: Iterable[str], known: dict[str, FileFacts]) -> list[str]:
    """Return the files that are new or have changed, and those that could not be read."""
    return [
        name
        for name in names
        if name not in known
        or not known[name].digest
        or _stamp(f"{root}/{name}") != (known[name].size, known[name].changed_ns)
    ]


def _stamp(path: str | Path) -> tuple[int, int]:
    try:
        stat = os.stat(path)
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns


def _count_pages(root: Path, names: list[str]) -> dict[str, int]:
    """Return how many images each file holds; 0 where they cannot be counted."""

    def count(name: str) -> int:
        try:
            return len(page_names(root / name, ""))
        except UnreadableImageError:
            return 0

    # Most kinds hold one, and are not opened for it.
    paged = [name for name in names if Path(name).suffix.lower() in PAGED]
    return dict.fromkeys(names, 1) | dict(zip(paged, map_ahead(count, paged), strict=True))


def _read(
    root: Path,
    counts: dict[str, int],
    known: dict[str, FileFacts],
    save: Callable[[], None],
    ahead: RowsAhead | None,
) -> None:
    by_digest = {facts.digest: facts.pages for facts in known.values() if facts.digest}
    saved = time.monotonic()
    what = "reading images" if ahead is None else f"reading and decoding at {ahead.size} px"
    with counting(what, sum(max(1, count) for count in counts.values())) as advance:

        def facts_of(name: str) -> FileFacts:
            path = root / name
            size, changed_ns, digest, fault = _digest(path)
            pages = by_digest.get(digest) if digest else {"": Page(fault=fault)}
            if pages is None or (ahead is not None and digest):
                pages = by_digest[digest] = _pages(path, name, ahead, advance)
            else:
                advance(max(1, counts[name]))
            return FileFacts(size, changed_ns, digest, pages)

        for name, facts in zip(counts, map_ahead(facts_of, counts), strict=True):
            known[name] = facts
            if time.monotonic() - saved > SAVE_EVERY:
                save()
                saved = time.monotonic()
    save()


def _digest(path: Path) -> tuple[int, int, str, str]:
    """Return a file's size, time of change and digest, and why it cannot be read."""
    stamp = _stamp(path)
    try:
        with path.open("rb") as file:
            return *stamp, hashlib.file_digest(file, "sha256").hexdigest()[:32], ""
    except FileNotFoundError:
        return *stamp, "", "there is no such file"
    except OSError as error:
        return *stamp, "", error.strerror or str(error)


def _pages(
    path: Path, file: str, ahead: RowsAhead | None, advance: Callable[[int], None]
) -> dict[str, Page]:
    """Read the pages of a file, and pass on their pixels.

    Args:
        path: of it.
        file: what `ahead` calls it.
        ahead: takes the pixels.
        advance: told how many were read.
    """
    try:
        names = page_names(path, "")
    except UnreadableImageError as error:
        advance(1)
        return {"": Page(fault=error.reason)}
    indices = [split_page(f"x{name}")[1] for name in names]
    square = None if ahead is None else (ahead.size, ahead.fit)

    def read(some: list[int]) -> list[Page]:
        pages, squares = near_file(path, read_pages, path, some, square)
        if ahead is not None:
            for index, pixels in zip(some, squares, strict=True):
                if pixels is not None:
                    ahead.write(file, index, pixels)
        advance(len(some))
        return pages

    # Some at a time: what is sent to other processes and back costs as much as a page.
    most = TOGETHER if ahead is None else min(TOGETHER, 1 + BYTES // (3 * ahead.size**2))
    some = [indices[first : first + most] for first in range(0, len(names), most)]
    # One after the other it would be one core's work alone.
    found = map_ahead(read, some) if len(some) > 1 else map(read, some)
    return dict(zip(names, (page for pages in found for page in pages), strict=True))


def read_pages(
    path: Path, indices: Sequence[int], square: tuple[int, str] | None = None
) -> tuple[list[Page], list[Pixels | None]]:
    """Read some pages of a file.

    Args:
        path: of it.
        indices: of the pages.
        square: side and fit of the pixels that are wanted, too.

    Returns:
        What is known of each, and the pixels of those that can be read, uint8 [size, size, 3].
    """
    sizes = (SEEN_AT,) if square is None else (SEEN_AT, square[0])
    pages: list[Page] = []
    squares: list[Pixels | None] = []
    for index in indices:
        try:
            picture, *larger = open_at(path, sizes, index)
        except UnreadableImageError as error:
            pages.append(Page(fault=error.reason))
            squares.append(None)
            continue
        pages.append(_described(picture))
        squares.append(as_square(larger[0], *square) if square else None)
    return pages, squares


def _described(picture: Picture) -> Page:
    grey = picture.image.convert("L")
    blank = ("blank",) if _is_blank(grey) else ()
    return Page(phash(grey), "", picture.size, (*picture.words, *blank), spectrum(grey))


def _is_blank(image: Image.Image) -> bool:
    """Whether there is nothing on a page in grey."""
    edges = (round(image.width * MARGIN), round(image.height * MARGIN))
    counts = np.cumsum(ImageOps.crop(image, edges).histogram())
    darker = int(np.searchsorted(counts, counts[-1] / 2)) - DARKER
    return bool(darker <= 0 or counts[darker - 1] <= BLANK * counts[-1])


def _load(path: Path) -> dict[str, FileFacts]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {
        name: FileFacts(
            size,
            changed,
            digest,
            {
                page: Page(look, fault, tuple(sides), tuple(words), waves)
                for page, (look, fault, sides, words, waves) in pages.items()
            },
        )
        for name, (size, changed, digest, pages) in content.items()
    }


def _save(path: Path, known: dict[str, FileFacts]) -> None:
    content = {
        name: (
            *(facts.size, facts.changed_ns, facts.digest),
            {
                page: (found.look, found.fault, found.size, found.words, found.waves)
                for page, found in facts.pages.items()
            },
        )
        for name, facts in known.items()
    }
    write_text(path, json.dumps(content))
