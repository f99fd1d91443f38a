"""Decoded images on disk, shared by all runs and workers as memory maps.

One builder at a time: whoever comes while another builds waits, and then finds the file. The lock
is the operating system's, so it goes when its process does, however that ends.
"""

import errno
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout
from rich.console import Console

from doctune.errors import UserError
from doctune.files import replacing

log = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]


def cached_array(
    folder: str,
    name: str,
    shape: tuple[int, ...],
    fill: Callable[[Array], None],
    dtype: type[np.generic] = np.uint8,
) -> Array:
    """Return the array of that name as a memory map, built if it is not there yet.

    Args:
        folder: of the cache.
        name: says what is in the array; other content has another name.
        shape: of the array.
        fill: writes the content into an array of zeros, which is a memory map too.
        dtype: of the array.

    Raises:
        UserError: there is no room for it on the disk, or the folder cannot be written to.
    """
    path = Path(folder) / f"{name}.npy"
    array = _open(path, shape)
    if array is not None:
        return array
    with lock(path):
        array = _open(path, shape)
        if array is not None:
            return array
        log.info("building %s", path)
        with replacing(path, alone=True) as part:
            fill(new_array(part, shape, dtype))
        built: Array = np.load(path, mmap_mode="r")
        return built


def new_array(part: Path, shape: tuple[int, ...], dtype: type[np.generic] = np.uint8) -> Array:
    """Return an array of zeros in a new file, as a memory map.

    Raises:
        UserError: there is no room for it on the disk.
    """
    array: Array = np.lib.format.open_memmap(part, "w+", dtype, shape)
    _reserve(part)
    return array


def adopt(folder: str, name: str, part: Path, shape: tuple[int, ...]) -> None:
    """Put a file that holds such an array into the cache, unless there is one of that name.

    Args:
        folder: of the cache, in which the file is, too.
        name: as of `cached_array`.
        part: of `new_array`.
        shape: of it.
    """
    path = Path(folder) / f"{name}.npy"
    with lock(path):
        if _open(path, shape) is None:
            with replacing(path, alone=True) as ready:
                part.rename(ready)


def _open(path: Path, shape: tuple[int, ...]) -> Array | None:
    """Return what is there already; None where nothing is, or a file that was cut off."""
    if not path.exists():
        return None
    try:
        array: Array = np.load(path, mmap_mode="r")
    except (ValueError, EOFError):
        return None
    return array if array.shape == shape else None


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Keep other processes and threads from building the file, and wait for those that do.

    Raises:
        UserError: the folder cannot be written to.
        RuntimeError: the process is a copy of one that holds the lock and waits for it.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # In a process that is being started, and so runs its program's file once more.
        raise RuntimeError(
            "images are loaded while the file of the program is imported; put that below "
            "`if __name__ == '__main__':`, as processes that read images import it too"
        )
    guard = FileLock(path.with_name(f"{path.name}.lock"), mode=0o666)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        guard.acquire(timeout=1)
    except Timeout:
        told = f"another process prepares {path.name}; waiting for it"
        log.info(told)
        Console(stderr=True).print(told, highlight=False, soft_wrap=True)
        guard.acquire()
    except OSError as error:
        raise UserError(
            f"data.cache_dir={path.parent}: cannot be written to ({error.strerror}); give a folder "
            "that can"
        ) from error
    try:
        yield
    finally:
        guard.release()


def _reserve(part: Path) -> None:
    """Take the room now: a memory map that finds the disk full kills its process."""
    if not hasattr(os, "posix_fallocate"):
        return
    size = part.stat().st_size
    with part.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                return
            needed = f"{size / 2**30:.1f} GB" if size >= 2**30 else f"{-(-size // 2**20)} MB"
            raise UserError(
                f"data.cache_dir={part.parent}: the decoded images need {needed}, "
                "which the disk does not have; free some, take a smaller data.img_size, or "
                "another folder"
            ) from error
