"""Files that others may read at any time: the old one or the new one, never half of one."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path, *, alone: bool = False) -> Iterator[Path]:
    """Yield where to write; when that is done, it takes the place of `path`.

    After an error, or Ctrl-C, `path` is as it was and nothing is left beside it. Several may write
    the same file at once: each of them writes its own, and the last one counts.

    Args:
        path: in a folder that there is.
        alone: nobody else writes it now, as its lock is held. Half a file that a killed process has
            left is then known to be one, and is overwritten; large ones would fill a disk.
    """
    name = f"{path.name}.part" if alone else f"{path.name}.{uuid.uuid4().hex}.part"
    part = path.with_name(name)
    part.unlink(missing_ok=True)
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file in UTF-8; whoever reads it meanwhile reads what it was."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
