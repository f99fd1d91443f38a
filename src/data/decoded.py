"""The decoded images of a data set in the cache, one after the other.

Of a new data set every file is read for what is in it, and again for its pixels: of a PNG or of a
scan in a PDF that is nearly all of the work. So where all files are new, their pixels are written
while they are read for the first time, each to the place that it will have.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from src.data.cache import Pixels, adopt, cached_array, lock, new_array
from src.data.config import DataConfig
from src.data.decode import DECODING_VERSION, decode
from src.data.processes import near_file, pdfs_in_processes
from src.data.progress import show_progress
from src.data.threads import map_ahead

# Images that are copied at once.
TOGETHER = 256


def short_hash(facts: object) -> str:
    """Return a name for what JSON can hold."""
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


def decoded_name(cfg: DataConfig, contents: Sequence[str]) -> str:
    """Return what the pixels of these images are called in the cache.

    Args:
        cfg: the `data` group.
        contents: what tells each image from any other.
    """
    content = short_hash([list(contents), cfg.fit, DECODING_VERSION])
    return f"{cfg.source}-{content}-{cfg.img_size}px"


def decoded(cfg: DataConfig, contents: Sequence[str], files: Sequence[tuple[Path, int]]) -> Pixels:
    """Return the images, uint8 [N, size, size, 3], decoded before or now.

    Args:
        cfg: the `data` group.
        contents: what tells each image from any other.
        files: path and index of the page of each.

    Raises:
        UnreadableImageError: an image was changed meanwhile.
    """
    size = cfg.img_size

    def fill(out: Pixels) -> None:
        def decode_row(row: int) -> None:
            path, page = files[row]
            out[row] = near_file(path, decode, path, size, fit=cfg.fit, page=page)

        rows = map_ahead(decode_row, range(len(out)))
        with pdfs_in_processes():
            for _ in show_progress(rows, f"decoding images at {size} px", len(out)):
                pass

    shape = (len(files), size, size, 3)
    return cached_array(cfg.cache_dir, decoded_name(cfg, contents), shape, fill)


class RowsAhead:
    """Pixels that are written while files are read; within a `with` block.

    Args:
        cfg: the `data` group.
        root: the folder of the files.
    """

    def __init__(self, cfg: DataConfig, root: Path) -> None:
        self.size, self.fit = cfg.img_size, cfg.fit
        self._cfg = cfg
        self._part = Path(cfg.cache_dir) / f"ahead-{short_hash(str(root.resolve()))}.npy.part"
        self._first: dict[str, int] = {}
        self._rows: Pixels | None = None
        self._written = np.zeros(0, bool)
        self._stack = ExitStack()

    def __enter__(self) -> "RowsAhead":
        return self

    def __exit__(self, *_: object) -> None:
        self._rows = None
        self._stack.close()

    def reserve(self, counts: dict[str, int]) -> None:
        """Take room for the images of files.

        Args:
            counts: images of each file, in the order in which they will lie.

        Raises:
            UserError: there is no room for them on the disk.
        """
        firsts = np.cumsum([0, *counts.values()]).tolist()
        if not firsts[-1]:
            return
        # Half a file that a killed process has left is overwritten, as nobody else writes it now.
        self._stack.enter_context(lock(self._part))
        self._stack.callback(self._part.unlink, missing_ok=True)
        self._rows = new_array(self._part, (firsts[-1], self.size, self.size, 3))
        self._first = dict(zip(counts, firsts, strict=False))
        self._written = np.zeros(firsts[-1], bool)

    def write(self, file: str, index: int, pixels: Pixels) -> None:
        """Write the pixels of an image of a file, uint8 [size, size, 3]."""
        row = self._first[file] + index
        if self._rows is not None and row < len(self._rows):
            self._rows[row] = pixels
            self._written[row] = True

    def keep(self, contents: Sequence[str], images: Iterable[tuple[str, int]]) -> None:
        """Put what was written into the cache, if it is all that is wanted.

        Args:
            contents: what tells each image from any other.
            images: file and index of each, as they will lie.
        """
        written = self._rows
        if written is None:
            return
        rows = np.array([self._first[file] + index for file, index in images], np.int64)
        if rows.max() >= len(written) or not self._written[rows].all():
            return
        name, shape = decoded_name(self._cfg, contents), (len(rows), *written.shape[1:])
        if np.array_equal(rows, np.arange(len(written))):
            adopt(self._cfg.cache_dir, name, self._part, shape)
            return

        def copy(out: Pixels) -> None:
            for first in range(0, len(rows), TOGETHER):
                some = slice(first, first + TOGETHER)
                out[some] = written[rows[some]]

        # Some could not be read, or some are not wanted.
        cached_array(self._cfg.cache_dir, name, shape, copy)
