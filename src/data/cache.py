"""Decoded images on disk, shared by all runs and workers as memory maps."""

import logging
import os
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

log = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]


def cached_array(folder: str, name: str, make: Callable[[], Pixels]) -> Pixels:
    """Return the array of that name, made and stored if it is not there yet.

    Written under a temporary name and then renamed: whoever builds at the same time never sees
    half a file, the last one to finish stays.
    """
    path = Path(folder) / f"{name}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        log.info("decoding images into %s", path)
        array = make()
        # Not by `tempfile`, whose files only their owner may read: a cache may be shared.
        temporary = path.with_name(f"{name}.{uuid.uuid4().hex}.part")
        try:
            with temporary.open("xb") as file:
                np.save(file, array)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    pixels: Pixels = np.load(path, mmap_mode="r")
    return pixels
