"""Image files in a folder: which there are, and which a name may mean.

What a source says about its images before any is opened.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from doctune.errors import UserError
from src.data.formats import HEIF, HEIF_EXTRA, SUFFIXES

# Files of the system's own in a folder of images.
SYSTEM = ("thumbs.db", "desktop.ini")
# Kinds of files in a message.
MOST_KINDS = 4


def image_files(folder: Path) -> list[str]:
    """Return the images and PDFs in a folder and below, as sorted relative paths with slashes.

    Hidden files and folders are left out, Jupyter's checkpoints and the like.
    """
    return sorted(name for name in _walk(folder) if _suffix(name) in SUFFIXES)


def other_files(folder: Path) -> list[str]:
    """Return the files that are left out, likewise; what a system puts there is not told."""
    found = (name for name in _walk(folder) if _suffix(name) not in SUFFIXES)
    return sorted(name for name in found if name.rpartition("/")[2].lower() not in SYSTEM)


def describe_others(names: list[str]) -> list[str]:
    """Say which files are left out, in a line or none."""
    if not names:
        return []
    kinds = Counter(_suffix(name) or "without suffix" for name in names)
    told = []
    for kind, count in kinds.most_common(MOST_KINDS):
        first = next(name for name in names if (_suffix(name) or "without suffix") == kind)
        extra = f", which need {HEIF_EXTRA}" if kind in HEIF else ""
        told.append(f"{count} {kind} ({first}{', ...' if count > 1 else ''}){extra}")
    more = ", ..." if len(kinds) > MOST_KINDS else ""
    files = "1 file is" if len(names) == 1 else f"{len(names)} files are"
    return [f"{files} left out, as no images that are read: {'; '.join(told)}{more}"]


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _walk(folder: Path) -> Iterator[str]:
    # Text all the way: a hundred thousand Path objects would take seconds.
    top = str(folder)
    seen: set[tuple[int, int]] = set()
    for where, folders, names in os.walk(top, followlinks=True):
        folders[:] = visible(folders)
        here = os.stat(where)
        if (here.st_dev, here.st_ino) in seen:
            # A link that leads back to where it lies, or to a folder that was there already.
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        below = os.path.relpath(where, top).replace(os.sep, "/")
        prefix = "" if below == "." else f"{below}/"
        yield from (prefix + name for name in visible(names))


def visible(names: list[str]) -> list[str]:
    """Return the names that a user put there, sorted."""
    return sorted(name for name in names if not name.startswith((".", "__MACOSX")))


def named_inside(folder: Path, name: str) -> str:
    """Return a name as it is meant: `train\\0.png` and `train/0.png` may be `0.png` in `train`.

    One that is a file as it stands stays, and one that is no file either way.
    """
    name = name.removeprefix("./")
    plain = name.replace("\\", "/")
    if plain == name and not name.startswith(f"{folder.name}/"):
        return name
    for meant in (name, plain, plain.removeprefix(f"{folder.name}/")):
        if ".." not in meant.split("/") and (folder / meant.partition("#")[0]).is_file():
            return meant
    return name


def with_suffixes(folder: Path, names: list[str]) -> list[str]:
    """Return names with the suffix of their file where a table was written without.

    Raises:
        UserError: two files in the folder differ in the suffix alone.
    """
    if all(_suffix(name.partition("#")[0]) in SUFFIXES for name in names):
        return names
    by_stem: dict[str, list[str]] = {}
    for name in image_files(folder):
        by_stem.setdefault(os.path.splitext(name)[0], []).append(name)
    return [name if (folder / name).is_file() else _only(by_stem, name) for name in names]


def _only(by_stem: dict[str, list[str]], name: str) -> str:
    found = by_stem.get(name, [name])
    if len(found) > 1:
        raise UserError(f"'{name}' may be {' or '.join(found)}; write it with its suffix")
    return found[0]


def path_inside(folder: Path, name: str) -> Path:
    """Return the path of a named file in a folder.

    Raises:
        UserError: the name leads out of the folder.
    """
    parts = Path(name.replace("\\", "/")).parts
    if Path(name).is_absolute() or ".." in parts or "\0" in name:
        raise UserError(f"'{name}' leads out of {folder}; files are named relative to that folder")
    return folder / name


SPLITS = ("train", "val", "test")


@dataclass
class Listing:
    """Files with their labels.

    Args:
        root: the folder that the names are relative to.
        names: of the files, with slashes; `#page=2` behind one means that page alone.
        targets: class of each file, as an index of `classes`.
        classes: their names.
        codes: what the source calls each class where that is not its name; empty elsewhere.
        splits: train, val or test for each file where the source says so; empty elsewhere.
        groups: files of a group stay together; empty where the source has none.
        notes: what a user should know, a line each.
    """

    root: Path
    names: list[str]
    targets: list[int]
    classes: tuple[str, ...]
    codes: tuple[str, ...] = ()
    splits: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
