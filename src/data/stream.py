"""Images one after the other, for who looks at each once and keeps none.

Decoded ahead in threads, in order and in constant memory, however many there are.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from doctune.errors import UserError
from src.data.csv_table import read_table
from src.data.decode import Pixels, UnreadableImageError, decode_sized, page_names, split_page
from src.data.files import image_files, named_inside, path_inside, with_suffixes
from src.data.processes import near_file, pdfs_in_processes
from src.data.threads import map_ahead

Named = tuple[str, Pixels | UnreadableImageError]
# With the width and height in the file.
Sized = tuple[str, tuple[Pixels, tuple[int, int]] | UnreadableImageError]
# A file, or why its pages are not known, and the name of one of its pages.
NamedPage = tuple[Path | UnreadableImageError, str]

Item = TypeVar("Item")


def stream_images(
    source: Path | Sequence[Path],
    size: int,
    *,
    fit: str = "pad",
    folder: Path | None = None,
    column: str | None = None,
    encoding: str | None = None,
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
        encoding: of the CSV; None: UTF-8 or UTF-16.
        threads: that decode; one a core by default.

    Yields:
        The name (relative to the folder; `#page=2` behind the pages of a PDF) and uint8
        [size, size, 3], or an `UnreadableImageError`.

    Raises:
        UserError: there is no such source, or nothing in it.
    """
    pages = _pages(list_files(source, folder, column, encoding))
    found = _decode_ahead(pages, size, fit, threads)
    return ((name, page if isinstance(page, Exception) else page[0]) for name, page in found)


def stream_sized(
    source: Path, size: int, *, fit: str, folder: Path | None, most: int
) -> Iterator[Sized]:
    """Yield what `stream_images` does, each image with its width and height in the file.

    So many at most, spread evenly over the pages of so many files, and these over all files.
    """
    files = _spread(list_files(source, folder), most)
    return _decode_ahead(_spread(list(_pages(files)), most), size, fit)


def _spread(items: list[Item], most: int) -> list[Item]:
    if len(items) <= most:
        return items
    return [items[i * len(items) // most] for i in range(most)]


def list_files(
    source: Path | Sequence[Path],
    folder: Path | None = None,
    column: str | None = None,
    encoding: str | None = None,
) -> list[tuple[Path, str]]:
    """Return the path and the name of each file; arguments as for `stream_images`."""
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
    wanted = {"id_column": column} if column else {}
    columns, rows = read_table(source, wanted, encoding)
    names = [row[column or columns[0]] for row in rows]
    files = with_suffixes(where, [named_inside(where, name) for name in names])
    return [(path_inside(where, file), name) for file, name in zip(files, names, strict=True)]


def file_that_holds(path: Path) -> Path:
    """Return the file of an image: `scan.pdf` where `scan.pdf#page=2` is a page and no file."""
    bare = split_page(str(path))[0]
    return Path(bare) if bare != str(path) and not path.exists() else path


def _decode_ahead(
    pages: Iterable[NamedPage], size: int, fit: str, threads: int | None = None
) -> Iterator[Sized]:
    def decode_one(item: NamedPage) -> Sized:
        path, name = item
        if isinstance(path, UnreadableImageError):
            return name, path
        try:
            page = split_page(name)[1]
            return name, near_file(path, decode_sized, path, size, fit=fit, page=page, name=name)
        except UnreadableImageError as error:
            return name, error

    with pdfs_in_processes():
        yield from map_ahead(decode_one, pages, threads)


def _pages(files: Iterable[tuple[Path, str]]) -> Iterator[NamedPage]:
    """Add the pages of each file to its name, unless the name has one already."""
    for path, name in files:
        file = file_that_holds(path)
        if file != path:
            yield file, name
            continue
        try:
            pages = page_names(path, name)
        except UnreadableImageError as error:
            yield error, name
            continue
        for page_name in pages:
            yield path, page_name
