"""What is in the files of a data set, found once: their content, pages, looks and faults.

Each file is read once, whatever the size that images are wanted at later, and what was found is
kept in an index. A file is read again when its size or time of change is another; one that was
only moved or copied is recognised by its content.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image, ImageOps

from doctune.files import write_text
from src.data.cache import lock
from src.data.decode import UnreadableImageError, open_image, page_names, split_page
from src.data.pdf import drawn_in_processes
from src.data.progress import show_progress
from src.data.spectrum import spectrum
from src.data.threads import map_ahead

# Raised whenever the same file would be described differently, so that no old index is used.
VERSION = 4

# The perceptual hash has SIDE x SIDE bits; `src/data/duplicates.py` says why so many.
SIDE = 32
# The hash looks at a square of twice that side; decoded a little larger, it stays the same at
# whatever resolution the image was scanned.
SEEN_AT = 4 * SIDE

# Pages from which on those of one file are read side by side.
LONG = 64
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


def inspect_files(root: Path, names: Iterable[str], cache_dir: str) -> dict[str, FileFacts]:
    """Return what is in the named files, read now or known from before.

    Args:
        root: the folder that the names are relative to.
        names: without pages.
        cache_dir: where the index is kept.
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
        _read(root, outdated, known, lambda: _save(path, known))
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


def _read(
    root: Path, names: list[str], known: dict[str, FileFacts], save: Callable[[], None]
) -> None:
    by_digest = {facts.digest: facts.pages for facts in known.values() if facts.digest}
    saved = time.monotonic()
    with drawn_in_processes():
        alone = len(names) == 1
        found = map_ahead(lambda name: _facts(root / name, by_digest, tell=alone), names)
        # Of a single file its pages are counted.
        shown = found if alone else show_progress(found, "reading images", len(names))
        for name, facts in zip(names, shown, strict=True):
            known[name] = facts
            if time.monotonic() - saved > SAVE_EVERY:
                save()
                saved = time.monotonic()
    save()


def _facts(path: Path, by_digest: dict[str, dict[str, Page]], *, tell: bool) -> FileFacts:
    size, changed_ns = _stamp(path)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except FileNotFoundError:
        return FileFacts(size, changed_ns, "", {"": Page(fault="there is no such file")})
    except OSError as error:
        return FileFacts(size, changed_ns, "", {"": Page(fault=error.strerror or str(error))})
    pages = by_digest.get(digest)
    if pages is None:
        pages = by_digest[digest] = _pages(path, tell=tell)
    return FileFacts(size, changed_ns, digest, pages)


def _pages(path: Path, *, tell: bool) -> dict[str, Page]:
    try:
        names = page_names(path, "")
    except UnreadableImageError as error:
        return {"": Page(fault=error.reason)}
    if len(names) < LONG:
        return {name: _page(path, split_page(f"x{name}")[1]) for name in names}
    # One after the other it would be one core's work alone.
    found = map_ahead(lambda name: _page(path, split_page(f"x{name}")[1]), names)
    if tell:
        found = show_progress(found, f"reading {path.name}", len(names))
    return dict(zip(names, found, strict=True))


def _page(path: Path, page: int) -> Page:
    try:
        picture = open_image(path, SEEN_AT, page)
    except UnreadableImageError as error:
        return Page(fault=error.reason)
    grey = picture.image.convert("L")
    look = np.packbits(imagehash.phash(grey, SIDE, 2).hash).tobytes().hex()
    blank = ("blank",) if _is_blank(grey) else ()
    return Page(look, "", picture.size, (*picture.words, *blank), spectrum(grey))


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
