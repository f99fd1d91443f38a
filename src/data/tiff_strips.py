"""Large TIFFs, read and reduced some strips or tiles at a time.

Pillow reads a page as a whole, in four bytes a pixel where it is in colour: 400 MB for 100
megapixels. A TIFF is stored in strips or tiles that are packed each by itself, so some of them,
with the page's own tags before them, are a smaller TIFF, which Pillow reads like any other. What is
packed as a single strip is unpacked piece by piece (`one_strip.py`) and given to it in strips.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from src.data.levels import DEEP, LARGE, STRIP, reduce_strips, to_grey_or_rgb
from src.data.one_strip import DEFLATE, STREAMS, unpacked

# Tags by their names in the specification.
WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
OFFSETS, SAMPLES, ROWS, COUNTS, PLANES = 273, 277, 278, 279, 284
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
# Beside sizes and places what says how pixels are packed and meant: order of bits, fax options,
# predictor, colours of a palette, inks, what a fourth sample is, kind of numbers, JPEG tables,
# finer colours.
FILL_ORDER, FROM_THE_LEFT, JPEG_TABLES = 266, 1, 347
MEANING = (
    *(BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, SAMPLES, PLANES),
    *(292, 293, 317, 320, 332, 338, 339, JPEG_TABLES, 530),
)
NOT_COMPRESSED, OLD_JPEG, JPEG, IN_ONE, YCBCR = 1, 6, 7, 1, 6
# What Pillow calls the colours of a JPEG, by the tag.
JPEG_COLOURS = {1: "L", 2: "RGB", YCBCR: "YCbCr"}
# A JPEG starts and ends with these.
FIRST, LAST = b"\xff\xd8", b"\xff\xd9"
# How numbers of a tag are written, by its type: bytes, 16 and 32 bits, bytes of no type.
TYPES = {1: "B", 3: "H", 4: "L", 7: "B"}


def in_strips(image: Image.Image, wanted: int) -> bool:
    """Whether a page is to be read some strips at a time.

    Args:
        image: as Pillow opened it, at the page, not loaded.
        wanted: length of its shorter side that is enough.
    """
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    if not _is_large(tags, wanted) or image.mode.startswith(DEEP):
        return False
    if tags.get(PLANES, IN_ONE) != IN_ONE:
        return False
    packed = tags.get(COMPRESSION, NOT_COMPRESSED)
    # An old JPEG is one stream for all strips; else such colours depend on further tags.
    if packed == OLD_JPEG or (packed != JPEG and tags.get(PHOTOMETRIC) == YCBCR):
        return False
    return len(_segments(tags)) > 1 or _is_one_stream(tags)


def read_reduced(path: Path, image: Image.Image, wanted: int) -> Image.Image:
    """Read a page in grey or RGB, divided by a whole number, not turned yet.

    Args:
        path: of the file.
        image: the same as `in_strips` has allowed.
        wanted: length of its shorter side that is enough.

    Raises:
        CannotBeCutError: it has to be read as a whole.
    """
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    size = int(tags[WIDTH]), int(tags[LENGTH])
    return reduce_strips(_strips(path, tags), image, size, min(size) // wanted)


def read_jpeg(path: Path, image: Image.Image, wanted: int) -> Image.Image | None:
    """Read a page that is one JPEG in grey or RGB, smaller by the format itself, not turned yet.

    Args:
        path: of the file.
        image: as Pillow opened it, at the page, not loaded.
        wanted: length of its shorter side that is enough.

    Returns:
        None where it is no such page, or not for sure one.
    """
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    if tags.get(COMPRESSION) != JPEG or not _is_large(tags, wanted):
        return None
    if tags.get(PHOTOMETRIC) not in JPEG_COLOURS or len(tags.get(OFFSETS, ())) != 1:
        return None
    with path.open("rb") as file:
        file.seek(tags[OFFSETS][0])
        data = file.read(tags[COUNTS][0])
    tables = bytes(tags.get(JPEG_TABLES, FIRST + LAST))
    if not (tables.startswith(FIRST) and tables.endswith(LAST) and data.startswith(FIRST)):
        return None
    whole = tables[: -len(LAST)] + data[len(FIRST) :]
    with Image.open(io.BytesIO(whole), formats=("JPEG",)) as jpeg:
        if jpeg.size != (int(tags[WIDTH]), int(tags[LENGTH])):
            return None
        jpeg.draft("RGB", (wanted, wanted))
        # A JPEG alone does not say for sure what its colours are.
        colours = JPEG_COLOURS[tags[PHOTOMETRIC]]
        tiles: Any = jpeg.tile
        jpeg.tile = [tile._replace(args=(tile.args[0], colours)) for tile in tiles]
        return to_grey_or_rgb(jpeg, wanted)


def _is_large(tags: Any, wanted: int) -> bool:
    width, height = int(tags[WIDTH]), int(tags[LENGTH])
    return width * height >= LARGE and min(width, height) >= 2 * wanted


def _segments(tags: Any) -> list[tuple[int, list[tuple[int, int]]]]:
    """Return rows of strips or tiles: how many lines of pixels, then place and bytes of each.

    Nothing where there are not as many as there should be.
    """
    width, height = int(tags[WIDTH]), int(tags[LENGTH])
    if TILE_OFFSETS in tags:
        rows, across = int(tags[TILE_LENGTH]), -(-width // int(tags[TILE_WIDTH]))
        starts, counts = tags[TILE_OFFSETS], tags.get(TILE_COUNTS, ())
    else:
        rows, across = min(height, int(tags.get(ROWS) or height)), 1
        starts, counts = tags.get(OFFSETS, ()), tags.get(COUNTS, ())
    if not len(starts) == len(counts) == across * -(-height // rows):
        return []
    plain = tags.get(COMPRESSION, NOT_COMPRESSED) == NOT_COMPRESSED and TILE_OFFSETS not in tags
    if plain and len(starts) == 1:
        return _plain_lines(tags, starts[0], rows)
    places = list(zip(starts, counts, strict=True))
    return [(rows, places[first : first + across]) for first in range(0, len(places), across)]


def _plain_lines(tags: Any, start: int, height: int) -> list[tuple[int, list[tuple[int, int]]]]:
    """Cut one strip that is not packed, which can be done between any two lines."""
    line, rows = _bytes_of_line(tags), max(1, STRIP // int(tags[WIDTH]))
    tops = range(0, height, rows)
    return [(rows, [(start + top * line, min(rows, height - top) * line)]) for top in tops]


def _bytes_of_line(tags: Any) -> int:
    # Some programs write the bits of one sample for all.
    bits, samples = tags.get(BITS, (1,)), int(tags.get(SAMPLES, 1))
    each = sum(bits) if len(bits) == samples else bits[0] * samples
    return int(-(-int(tags[WIDTH]) * each // 8))


def _is_one_stream(tags: Any) -> bool:
    """Whether a page is one strip that is packed, but can be unpacked in pieces."""
    one = TILE_OFFSETS not in tags and len(tags.get(OFFSETS, ())) == len(tags.get(COUNTS, ())) == 1
    return (
        one
        and tags.get(COMPRESSION) in STREAMS
        and tags.get(FILL_ORDER, FROM_THE_LEFT) == FROM_THE_LEFT
    )


def _strips(path: Path, tags: Any) -> Iterator[Image.Image]:
    if _is_one_stream(tags):
        yield from _strips_of_stream(path, tags)
        return
    width, height = int(tags[WIDTH]), int(tags[LENGTH])
    segments = _segments(tags)
    rows = segments[0][0]
    together = max(1, STRIP // (width * rows))
    with path.open("rb") as file:
        for first in range(0, len(segments), together):
            some = segments[first : first + together]
            parts: list[bytes] = []
            for place, count in (each for _, places in some for each in places):
                file.seek(place)
                parts.append(file.read(count))
            length = min(height - first * rows, rows * len(some))
            yield _small(tags, length, parts)


def _strips_of_stream(path: Path, tags: Any) -> Iterator[Image.Image]:
    line, rows = _bytes_of_line(tags), max(1, STRIP // int(tags[WIDTH]))
    height, waiting, top = int(tags[LENGTH]), bytearray(), 0
    with path.open("rb") as file:
        pieces = unpacked(file, tags[OFFSETS][0], tags[COUNTS][0], tags[COMPRESSION])
        while top < height:
            count = min(rows, height - top)
            while len(waiting) < count * line:
                piece = next(pieces, None)
                if piece is None:
                    raise OSError("image file is truncated")
                waiting += piece
            packed = zlib.compress(memoryview(waiting)[: count * line], 0)
            del waiting[: count * line]
            yield _small(tags, count, [packed], {COMPRESSION: (3, DEFLATE)})
            top += count


def _small(
    tags: Any, length: int, parts: list[bytes], other: dict[int, tuple[int, Any]] | None = None
) -> Image.Image:
    """Let Pillow read some strips or tiles, written as a TIFF of their own.

    Args:
        tags: of the page that they are of.
        length: lines of pixels.
        parts: the strips or tiles, as they are stored.
        other: tags that are others than those of the page: their types and values.
    """
    order = ">" if tags.prefix == b"MM" else "<"
    places, at = [], 8
    for part in parts:
        places.append(at)
        at += len(part)
    numbers = [len(part) for part in parts]
    written: dict[int, tuple[int, Any]] = {
        tag: (tags.tagtype[tag], tags[tag]) for tag in MEANING if tag in tags
    }
    written |= {WIDTH: (4, tags[WIDTH]), LENGTH: (4, length)}
    if TILE_OFFSETS in tags:
        sides = {tag: (4, tags[tag]) for tag in (TILE_WIDTH, TILE_LENGTH)}
        written |= {**sides, TILE_OFFSETS: (4, places), TILE_COUNTS: (4, numbers)}
    else:
        written |= {ROWS: (4, -(-length // len(parts))), OFFSETS: (4, places), COUNTS: (4, numbers)}
        if len(parts) > 1:
            # Each but the last has as many lines.
            written[ROWS] = (4, tags[ROWS])
    written |= other or {}
    at += at % 2
    behind = at + 2 + 12 * len(written) + 4
    entries, values = b"", b""
    for tag, (kind, value) in sorted(written.items()):
        row = value if isinstance(value, bytes | tuple | list) else (value,)
        data = struct.pack(f"{order}{len(row)}{TYPES[kind]}", *row)
        entries += struct.pack(f"{order}HHL", tag, kind, len(row))
        if len(data) > 4:
            entries += struct.pack(f"{order}L", behind + len(values))
            values += data + bytes(len(data) % 2)
        else:
            entries += data.ljust(4, b"\0")
    head = bytes(tags.prefix) + struct.pack(f"{order}HL", 42, at)
    body = b"".join(parts)
    body += bytes(at - 8 - len(body))
    count = struct.pack(f"{order}H", len(written))
    whole = head + body + count + entries + bytes(4) + values
    image = Image.open(io.BytesIO(whole), formats=("TIFF",))
    image.load()
    return image
