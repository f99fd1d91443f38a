"""Image files in a folder: which there are, and which a name may mean."""

import os
from pathlib import Path

from src.data.formats import SUFFIXES
from src.errors import UserError


def image_files(folder: Path) -> list[str]:
    """Return the images and PDFs in a folder and below, as sorted relative paths with slashes.

    Hidden files and folders are left out, Jupyter's checkpoints and the like.
    """
    # Text all the way: a hundred thousand Path objects would take seconds.
    top = str(folder)
    found: list[str] = []
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
        found.extend(
            prefix + name
            for name in visible(names)
            if os.path.splitext(name)[1].lower() in SUFFIXES
        )
    return sorted(found)


def visible(names: list[str]) -> list[str]:
    """Return the names that a user put there, sorted."""
    return sorted(name for name in names if not name.startswith((".", "__MACOSX")))


def path_inside(folder: Path, name: str) -> Path:
    """Return the path of a named file in a folder.

    Raises:
        UserError: the name leads out of the folder.
    """
    parts = Path(name.replace("\\", "/")).parts
    if Path(name).is_absolute() or ".." in parts or "\0" in name:
        raise UserError(f"'{name}' leads out of {folder}; files are named relative to that folder")
    return folder / name
