"""Images one after the other, for who looks at each once and keeps none.

Decoded ahead by a few threads (Pillow works outside Python's lock), in order and in constant
memory, however many there are.
"""

import csv
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from src.data.decode import SUFFIXES, Pixels, UnreadableImageError, decode, page_names, split_page
from src.errors import UserError

# Images decoded ahead for every thread.
AHEAD = 4

Named = tuple[str, Pixels | UnreadableImageError]


def stream_images(
    source: Path | Sequence[Path],
    size: int,
    *,
    fit: str = "pad",
    folder: Path | None = None,
    column: str | None = None,
    threads: int | None = None,
) -> Iterator[Named]:
    """Yield every image of a source with its name, or with what is wrong with it.

    Args:
        source: a folder (its images, those of its subfolders too, sorted), a CSV file, an image, a
            PDF, or a list of images and PDFs.
        size: side of the square images in pixels.
        fit: as in `decode`.
        folder: where the files that a CSV names are; beside the CSV by default.
        column: of the CSV that names the files; its first by default.
        threads: that decode; one a core by default.

    Yields:
        The name (relative to the folder; `#page=2` behind the pages of a PDF) and uint8
        [size, size, 3], or an `UnreadableImageError`.

    Raises:
        UserError: there is no such source, or nothing in it.
    """
    return _decode_ahead(_list(source, folder, column), size, fit, threads or os.cpu_count() or 1)


def image_files(folder: Path) -> list[str]:
    """Return the images and PDFs in a folder and below, as sorted relative paths with slashes."""
    found = [
        (Path(where) / name).relative_to(folder).as_posix()
        for where, folders, names in os.walk(folder)
        for name in names
        if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
    ]
    return sorted(found)


def path_inside(folder: Path, name: str) -> Path:
    """Return the path of a named file in a folder.

    Raises:
        UserError: the name leads out of the folder.
    """
    parts = Path(name.replace("\\", "/")).parts
    if Path(name).is_absolute() or ".." in parts or "\0" in name:
        raise UserError(f"'{name}' leads out of {folder}; files are named relative to that folder")
    return folder / name


def _list(
    source: Path | Sequence[Path], folder: Path | None, column: str | None
) -> list[tuple[Path, str]]:
    """Return the path and the name of each file."""
    if not isinstance(source, Path):
        return [(path, str(path)) for path in source]
    if source.is_dir():
        found = [(source / name, name) for name in image_files(source)]
        if not found:
            raise UserError(f"{source}: there are no images in this folder")
        return found
    if not source.exists():
        raise UserError(f"{source}: there is no such file or folder")
    if source.suffix.lower() != ".csv":
        return [(source, source.name)]
    where = folder or source.parent
    return [(path_inside(where, name), name) for name in _column(source, column)]


def _column(path: Path, column: str | None) -> list[str]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        names = rows.fieldnames or []
        chosen = column or (names[0] if names else "")
        if chosen not in names:
            raise UserError(f"{path}: has no column '{chosen}'; it has {', '.join(names)}")
        found = [row[chosen] for row in rows]
    if not found:
        raise UserError(f"{path}: there are no rows in this file")
    return found


def _decode_ahead(
    files: Iterable[tuple[Path, str]], size: int, fit: str, threads: int
) -> Iterator[Named]:
    waiting: deque[tuple[str, Future[Pixels] | UnreadableImageError]] = deque()
    with ThreadPoolExecutor(threads, "decode") as pool:
        try:
            for path, name in _pages(files):
                if isinstance(path, UnreadableImageError):
                    waiting.append((name, path))
                else:
                    _, page = split_page(name)
                    waiting.append(
                        (name, pool.submit(decode, path, size, fit=fit, page=page, name=name))
                    )
                if len(waiting) >= AHEAD * threads:
                    yield _result(*waiting.popleft())
            while waiting:
                yield _result(*waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _pages(files: Iterable[tuple[Path, str]]) -> Iterator[tuple[Path | UnreadableImageError, str]]:
    """Add the pages of each file to its name, unless the name has one already."""
    for path, name in files:
        bare = split_page(str(path))[0]
        if bare != str(path) and not path.exists():
            yield Path(bare), name
            continue
        try:
            pages = page_names(path, name)
        except UnreadableImageError as error:
            yield error, name
            continue
        for page_name in pages:
            yield path, page_name


def _result(name: str, result: Future[Pixels] | UnreadableImageError) -> Named:
    if isinstance(result, UnreadableImageError):
        return name, result
    try:
        return name, result.result()
    except UnreadableImageError as error:
        return name, error
