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
from dataclasses import dataclass, replace
from pathlib import Path

from doctune.files import write_text
from src.data.cache import lock
from src.data.decode import UnreadableImageError, page_names, split_page
from src.data.decoded import RowsAhead
from src.data.formats import PAGED, is_pdf
from src.data.processes import expect, near_file, pdfs_in_processes
from src.data.progress import counting
from src.data.reading import Page, Read, read_pages
from src.data.seen_file import SeenFile
from src.data.threads import map_ahead

# Raised whenever the same file would be described differently, so that no old index is used.
VERSION = 8

# Pages of one file that are read together, and bytes of their pixels; where there are more, some
# are read side by side.
TOGETHER, BYTES = 16, 4_000_000
# Seconds after which what was found so far is kept.
SAVE_EVERY = 60.0


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
    path, seen = _index(root, cache_dir), seen_file(root, cache_dir)
    known = _load(path, seen)
    if not _outdated(root, names, known):
        return {name: known[name] for name in names}
    with lock(path):
        known = _load(path, seen)
        if not known:
            seen.clear()
        outdated = _outdated(root, names, known)
        if ahead is not None and len(outdated) < len(names):
            ahead = None
        with pdfs_in_processes():
            counts = _count_pages(root, outdated)
            if ahead is not None:
                ahead.reserve(counts)
            expect(sum(count for name, count in counts.items() if is_pdf(root / name)))
            into = _Into(known, seen, ahead)
            _read(root, counts, into, lambda: _save(path, known))
    return {name: known[name] for name in names}


def seen_file(root: Path, cache_dir: str) -> SeenFile:
    """Return what the pages of the files in a folder look like; arguments as above."""
    return SeenFile(_index(root, cache_dir).with_suffix(".seen"))


def _index(root: Path, cache_dir: str) -> Path:
    key = hashlib.sha256(f"{VERSION} {root.resolve()}".encode()).hexdigest()[:12]
    return Path(cache_dir) / f"index-{key}.json"


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


@dataclass(frozen=True)
class _Into:
    """What takes what is found.

    Args:
        known: facts by the names of files.
        seen: what pages look like.
        ahead: pixels, where they are wanted.
    """

    known: dict[str, FileFacts]
    seen: SeenFile
    ahead: RowsAhead | None

    def take(self, file: str, index: int, read: Read) -> Page:
        """Keep what was read of a page of a file."""
        if self.ahead is not None and read.pixels is not None:
            self.ahead.write(file, index, read.pixels)
        if read.seen is None:
            return read.page
        return replace(read.page, place=self.seen.add(read.seen))


def _read(root: Path, counts: dict[str, int], into: _Into, save: Callable[[], None]) -> None:
    known, ahead = into.known, into.ahead
    by_digest = {facts.digest: facts.pages for facts in known.values() if facts.digest}
    saved = time.monotonic()
    what = "reading images" if ahead is None else f"reading and decoding at {ahead.size} px"
    with counting(what, sum(max(1, count) for count in counts.values())) as advance:

        def facts_of(name: str) -> FileFacts:
            path = root / name
            size, changed_ns, digest, fault = _digest(path)
            pages = by_digest.get(digest) if digest else {"": Page(fault=fault)}
            if pages is None or (ahead is not None and digest):
                pages = by_digest[digest] = _pages(path, name, into, advance)
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


def _pages(path: Path, file: str, into: _Into, advance: Callable[[int], None]) -> dict[str, Page]:
    """Read the pages of a file.

    Args:
        path: of it.
        file: what it is called.
        into: takes what is found.
        advance: told how many were read.
    """
    try:
        names = page_names(path, "")
    except UnreadableImageError as error:
        advance(1)
        return {"": Page(fault=error.reason)}
    indices = [split_page(f"x{name}")[1] for name in names]
    square = None if into.ahead is None else (into.ahead.size, into.ahead.fit)

    def read(some: list[int]) -> list[Page]:
        found = near_file(path, read_pages, path, some, square)
        advance(len(some))
        return [into.take(file, index, one) for index, one in zip(some, found, strict=True)]

    # Some at a time: what is sent to other processes and back costs as much as a page.
    most = TOGETHER if square is None else min(TOGETHER, 1 + BYTES // (3 * square[0] ** 2))
    some = [indices[first : first + most] for first in range(0, len(names), most)]
    # One after the other it would be one core's work alone.
    found = map_ahead(read, some) if len(some) > 1 else map(read, some)
    return dict(zip(names, (page for pages in found for page in pages), strict=True))


def _load(path: Path, seen: SeenFile) -> dict[str, FileFacts]:
    """Return what is known; nothing where it was lost what pages look like."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    known = {
        name: FileFacts(
            size,
            changed,
            digest,
            {
                page: Page(fault, tuple(sides), tuple(words), place)
                for page, (fault, sides, words, place) in pages.items()
            },
        )
        for name, (size, changed, digest, pages) in content.items()
    }
    last = max((page.place for facts in known.values() for page in facts.pages.values()), default=0)
    return known if last < len(seen) else {}


def _save(path: Path, known: dict[str, FileFacts]) -> None:
    content = {
        name: (
            *(facts.size, facts.changed_ns, facts.digest),
            {page: tuple(vars(found).values()) for page, found in facts.pages.items()},
        )
        for name, facts in known.items()
    }
    write_text(path, json.dumps(content))
