"""Large PNGs, read and reduced a strip at a time.

Pillow reads a PNG as a whole, in four bytes a pixel where it is in colour: 400 MB for 100
megapixels. Here its data are unpacked as a stream, and Pillow reads strips of it. As a row may be
stored as what differs from the one above, each strip starts with the last row before it. An
interlaced one is seven pictures of some of its pixels each, one after the other; these are read
likewise, and added up where they belong.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from src.data.levels import LARGE, STRIP, reduce_scattered, reduce_strips

# Bytes of a pixel, by how Pillow says that they are stored.
BYTES = {"L": 1, "LA": 2, "P": 1, "RGB": 3, "RGBA": 4, "I;16B": 2, "RGB;16B": 6, "RGBA;16B": 8}
SIGNATURE = b"\x89PNG\r\n\x1a\n"
# What Pillow has to know of each strip.
KEPT = (b"IHDR", b"PLTE", b"tRNS")
# The pictures of an interlaced one: first column and row, and how far it is to the next of each.
PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)),
    (0, 1, 1, 2),
)
# Bytes of a file that are taken at once.
PIECE = 1 << 20


def in_strips(image: Image.Image, wanted: int) -> bool:
    """Whether a picture that is open, but not loaded, is to be read strip by strip.

    Args:
        image: as Pillow opened it.
        wanted: length of its shorter side that is enough.
    """
    whole = image.format != "PNG" or getattr(image, "is_animated", False)
    if whole or _stored(image) not in BYTES:
        return False
    return image.width * image.height >= LARGE and min(image.size) >= 2 * wanted


def read_reduced(path: Path, image: Image.Image, wanted: int) -> Image.Image:
    """Read a picture in grey or RGB, divided by a whole number.

    Args:
        path: of the file.
        image: the same as `in_strips` has allowed; what is found in its file later goes to `info`.
        wanted: length of its shorter side that is enough.

    Raises:
        OSError: the file is truncated.
    """
    factor = min(image.size) // wanted
    with path.open("rb") as file:
        stream = _Stream(file)
        if image.info.get("interlace"):
            parts = _passes(stream, image)
            small = reduce_scattered(parts, image, image.size, factor, 65535.0)
        else:
            strips = _strips(stream, _stored(image), image.size)
            small = reduce_strips(strips, image, image.size, factor, 65535.0)
        image.info.update(stream.rest())
    return small


def _stored(image: Image.Image) -> str:
    """Return what Pillow calls the way in which pixels are stored."""
    tiles = image.tile  # type: ignore[attr-defined]
    return str(tiles[0].args) if tiles else ""


def _passes(stream: "_Stream", image: Image.Image) -> Iterator[tuple[Image.Image, range, range]]:
    """Yield strips of the pictures that an interlaced one is, and the columns and rows of each."""
    for left, top, across, down in PASSES:
        columns, rows = range(left, image.width, across), range(top, image.height, down)
        # Of a picture without columns there is nothing in the file.
        for strip in _strips(stream, _stored(image), (len(columns), len(rows) if columns else 0)):
            yield strip, columns, rows[: strip.height]
            rows = rows[strip.height :]


def _strips(stream: "_Stream", stored: str, size: tuple[int, int]) -> Iterator[Image.Image]:
    """Yield strips of the next picture in a file, from its upper edge on."""
    width, height = size
    length = 1 + width * BYTES[stored]
    rows = max(1, STRIP // max(1, width))
    above = bytes(length)
    for top in range(0, height, rows):
        count = min(rows, height - top)
        lines = above + stream.take(count * length)
        of_strip, last = (width, count + 1), (0, count, width, count + 1)
        strip = _picture(stream.head, of_strip, lines)
        above = b"\0" + strip.crop(last).tobytes()
        if stored == "I;16B":
            above = b"\0" + np.asarray(strip.crop(last)).astype(">u2").tobytes()
        elif stored.endswith(";16B"):
            # In colour Pillow gives the upper 8 bits; the lower ones are read by themselves.
            lower = _picture(stream.head, of_strip, lines, stored.replace("16B", "16L"))
            both = np.stack([np.asarray(each.crop(last)) for each in (strip, lower)], -1)
            above = b"\0" + both.tobytes()
        yield strip.crop((0, 1, width, count + 1))


class _Stream:
    """The rows of a file, and what stands before and behind them.

    Args:
        file: at its start.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflate = zlib.decompressobj()
        self._packed = b""
        self.head: list[tuple[bytes, bytes]] = []
        file.seek(len(SIGNATURE))
        kind = self._next()
        while kind != b"IDAT":
            body = file.read(self._left)
            if kind in KEPT:
                self.head.append((kind, body))
            kind = self._end()

    def _next(self) -> bytes:
        """Go to the next chunk, and return its kind."""
        start = self._file.read(8)
        if len(start) < 8:
            raise OSError("image file is truncated")
        self._left: int = int.from_bytes(start[:4], "big")
        return start[4:]

    def _end(self) -> bytes:
        """Go from the end of a chunk to the next."""
        self._file.read(4)
        return self._next()

    def take(self, count: int) -> bytes:
        """Return the next bytes of the rows, so many."""
        taken = bytearray()
        while len(taken) < count:
            if not self._packed:
                while not self._left:
                    if self._end() != b"IDAT":
                        raise OSError("image file is truncated")
                self._packed = self._file.read(min(PIECE, self._left))
                if not self._packed:
                    raise OSError("image file is truncated")
                self._left -= len(self._packed)
            taken += self._inflate.decompress(self._packed, count - len(taken))
            self._packed = self._inflate.unconsumed_tail
        return bytes(taken)

    def rest(self) -> dict[str, bytes]:
        """Return the EXIF data behind the rows."""
        kind = b"IDAT"
        while kind != b"IEND":
            body = self._file.read(self._left)
            if kind == b"eXIf":
                return {"exif": b"Exif\0\0" + body}
            kind = self._end()
        return {}


def _picture(
    head: list[tuple[bytes, bytes]], size: tuple[int, int], rows: bytes, stored: str | None = None
) -> Image.Image:
    """Let Pillow read some rows, as if pixels were stored as it is told."""
    parts = [SIGNATURE]
    for kind, body in (*head, (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b"")):
        if kind == b"IHDR":
            # Interlaced or not, these rows are one below the other.
            body = struct.pack(">II", *size) + body[8:12] + b"\0"
        parts += [struct.pack(">I", len(body)), kind, body]
        parts.append(struct.pack(">I", zlib.crc32(kind + body)))
    image = Image.open(io.BytesIO(b"".join(parts)), formats=("PNG",))
    if stored is not None:
        image.tile = [tile._replace(args=stored) for tile in image.tile]
    image.load()
    return image
