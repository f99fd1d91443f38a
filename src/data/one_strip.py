"""A strip of a TIFF that is packed as one, unpacked a piece at a time.

Deflate is a stream, which `zlib` unpacks as it comes. LZW is one too, but Pillow unpacks a strip of
it as a whole. It starts anew at every code that clears its table, which comes after some thousand
codes; there a strip can be cut, once it is known how many bytes each part is unpacked to. The codes
tell that without being unpacked: each stands for one byte, or for one more than the code that it
repeats (TIFF 6.0, section 13).
"""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

Indices = npt.NDArray[np.int64]

# Compressions by their numbers in the specification; Deflate has two.
LZW, DEFLATE, OLD_DEFLATE = 5, 8, 32946
STREAMS = (LZW, DEFLATE, OLD_DEFLATE)
# Bytes that are read or unpacked at once, about.
PIECE = 1 << 20

# The codes that clear the table and end the strip, and the first that stands for a repetition.
CLEAR, END, FIRST = 256, 257, 258
# The table is full before so many codes have been read.
MOST = 4096 - CLEAR
# Of each code after one that clears how many bits it has, and where it starts.
_BITS = np.select([np.arange(MOST) <= last for last in (253, 765, 1789)], [9, 10, 11], 12)
_STARTS = np.cumsum(_BITS) - _BITS
_CLEAR_IN_BITS = np.unpackbits(np.array([CLEAR >> 1, 0], np.uint8))[:9]


class CannotBeCutError(Exception):
    """A strip that is not packed as the specification says."""


def unpacked(file: BinaryIO, place: int, count: int, compression: int) -> Iterator[bytes]:
    """Yield the bytes that a strip is unpacked to, piece by piece.

    Args:
        file: the TIFF.
        place: of the strip in it.
        count: of its bytes there.
        compression: one of `STREAMS`.

    Raises:
        CannotBeCutError: it has to be read as a whole.
    """
    if compression == LZW:
        return _of_lzw(file, place, count)
    return _of_deflate(file, place, count)


def _of_deflate(file: BinaryIO, place: int, count: int) -> Iterator[bytes]:
    inflate = zlib.decompressobj()
    file.seek(place)
    while count > 0 and not inflate.eof:
        data = file.read(min(PIECE, count))
        if not data:
            return
        count -= len(data)
        while data and not inflate.eof:
            yield inflate.decompress(data, PIECE)
            data = inflate.unconsumed_tail
    # What was held back when all had been read.
    while left := inflate.decompress(inflate.unconsumed_tail, PIECE):
        yield left


def _of_lzw(file: BinaryIO, place: int, count: int) -> Iterator[bytes]:
    def bits_at(first: int, bits: int) -> npt.NDArray[np.uint8]:
        """Read the bytes in which some bits of the strip are; behind its end are zeros."""
        file.seek(place + first // 8)
        wanted = (first % 8 + bits) // 8 + 3
        data = file.read(max(0, min(wanted, count - first // 8)))
        return np.frombuffer(data.ljust(wanted, b"\0"), np.uint8)

    at = len(_CLEAR_IN_BITS)
    if not np.array_equal(np.unpackbits(bits_at(0, at))[:at], _CLEAR_IN_BITS):
        raise CannotBeCutError
    start, length, last = at, 0, False
    while not last:
        codes = _codes(bits_at(at, int(_STARTS[-1] + _BITS[-1])), at % 8)
        ends = np.flatnonzero((codes == CLEAR) | (codes == END))
        if not len(ends):
            raise CannotBeCutError
        number = int(ends[0])
        length += _length(codes[:number])
        end = at + int(_STARTS[number])
        at = end + int(_BITS[number])
        # Some programs forget the last code: what is read there are zeros.
        last = codes[number] == END or at >= 8 * count
        if length and (last or length >= PIECE):
            packed = np.unpackbits(bits_at(start, end - start))[start % 8 :][: end - start]
            yield _unpack(np.packbits(np.concatenate([_CLEAR_IN_BITS, packed])).tobytes(), length)
            start, length = at, 0


def _codes(data: npt.NDArray[np.uint8], shift: int) -> Indices:
    """Return the codes that may follow one that clears, from the bit `shift` of the first byte."""
    starts = _STARTS + shift
    first = starts >> 3
    three = data[first].astype(np.int64) << 16 | data[first + 1].astype(np.int64) << 8
    three |= data[first + 2]
    codes: Indices = three >> (24 - (starts & 7) - _BITS) & ((1 << _BITS) - 1)
    return codes


def _length(codes: Indices) -> int:
    """Return how many bytes some codes stand for, from one that clears to the next."""
    count = len(codes)
    # A code stands for the code that it repeats and a byte more; behind the last is what stands for
    # nothing. Each step looks twice as far back.
    repeats = np.where(codes >= FIRST, codes - FIRST, count)
    if (repeats[codes >= FIRST] >= np.arange(count)[codes >= FIRST]).any():
        raise CannotBeCutError
    repeats, lengths = np.append(repeats, count), np.append(np.ones(count, np.int64), 0)
    while (repeats < count).any():
        lengths = lengths + lengths[repeats]
        repeats = repeats[repeats]
    return int(lengths.sum())


def _unpack(packed: bytes, length: int) -> bytes:
    """Unpack codes as a page of one line."""
    tags = {256: length, 257: 1, 258: 8, 259: LZW, 262: 1, 273: 8, 277: 1, 278: 1, 279: len(packed)}
    entries = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in tags.items())
    body = packed + bytes(len(packed) % 2)
    head = struct.pack("<2sHL", b"II", 42, 8 + len(body))
    whole = head + body + struct.pack("<H", len(tags)) + entries + bytes(4)
    with Image.open(io.BytesIO(whole), formats=("TIFF",)) as line:
        return line.tobytes()
