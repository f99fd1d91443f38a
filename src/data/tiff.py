"""Pages of TIFFs: which of its pictures are pages, and each of them as libtiff would show it.

Pillow reads the common kinds, and fast. Others it shows wrong without a word, or not at all:
those of 16 bits where zero is white, signed numbers, 12 bits, 32 bits, and planes of 16 bits that
lie one behind the other. Tifffile reads these.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from src.data import tiff_strips
from src.data.kept_open import KeptOpen
from src.data.levels import brightest, scaled, to_grey_or_rgb
from src.data.one_strip import CannotBeCutError
from src.data.picture import Picture, check_size
from src.hardware.detect import cores

# It logs what it finds odd in a file; what cannot be read is told by us.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

# Tags by their names in the specification.
BITS, PHOTOMETRIC, ORIENTATION, PLANES, COMPRESSION = 258, 262, 274, 284, 259
SAMPLE_FORMAT = 339
# LERC, LZMA, Zstandard and WebP: which of them Pillow knows depends on how it was built.
RARE = (34887, 34925, 50000, 50001)
WHITE_IS_ZERO, RGB, CMYK = 0, 2, 5
UNSIGNED, UNTYPED, NOT_COMPRESSED, SEPARATE = 1, 4, 1, 2
# The kind of a picture beside the pages: a smaller one of another, or the mask of one.
REDUCED, MASK = 1, 4

TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# These swap width and height.
ON_ITS_SIDE = (5, 6, 7, 8)


class _Tiff:
    """An open file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # As a file: from a path Pillow would map pixels into memory, with the sides of pages that
        # lie on their side mixed up.
        self._file = path.open("rb")
        self._tifffile: tifffile.TiffFile | None = None
        try:
            self.image: Image.Image | None = Image.open(self._file, formats=("TIFF",))
            count = int(getattr(self.image, "n_frames", 1))
        except (UnidentifiedImageError, SyntaxError) as error:
            self.image = None
            try:
                count = len(self._directories())
            except Exception:
                # A damaged file may raise anything here; Pillow's reason is the one to tell.
                self.close()
                raise error from None
        self.frames = self._pages(count) if count > 1 else [0]
        self.has_copies = len(self.frames) < count

    def close(self) -> None:
        if self._tifffile is not None:
            self._tifffile.close()
        self._file.close()

    def deep(self) -> tifffile.TiffFile:
        """Return the file as Tifffile sees it."""
        if self._tifffile is None:
            self._tifffile = tifffile.TiffFile(self.path)
        return self._tifffile

    def _directories(self) -> list[tifffile.TiffPage | tifffile.TiffFrame]:
        """Return all pictures; in damaged files the last leads back to an earlier one."""
        found: list[tifffile.TiffPage | tifffile.TiffFrame] = []
        offsets: set[int] = set()
        for page in self.deep().pages:
            if page.offset in offsets:
                break
            offsets.add(page.offset)
            found.append(page)
        return found

    def _pages(self, count: int) -> list[int]:
        """Return the indices of the pictures that are pages of their own."""
        try:
            kinds = [int(page.aspage().subfiletype) for page in self._directories()]
        except Exception:
            # It is damaged further on; what Pillow finds is told as far as it can be read.
            return list(range(count))
        pages = [index for index, kind in enumerate(kinds) if not kind & (REDUCED | MASK)]
        return pages or list(range(count))


_OPEN = KeptOpen(
    _Tiff, _Tiff.close, several=lambda tiff: len(tiff.frames) > 1, most=max(4, cores())
)


def count_pages(path: Path) -> int:
    """Return the number of pages; thumbnails, smaller copies and masks are none."""
    with _OPEN.take(path) as tiff:
        return len(tiff.frames)


def read_page(path: Path, index: int, wanted: Sequence[int]) -> list[Picture]:
    """Read a page.

    Args:
        path: of the file.
        index: of the page, from 0.
        wanted: lengths of its shorter side in pixels that are enough; a page that is not large is
            read once for all of them.

    Raises:
        ValueError: there is no such page, it is too large, or of a kind that cannot be read.
    """
    with _OPEN.take(path) as tiff:
        if index >= len(tiff.frames):
            raise ValueError(f"it has only {len(tiff.frames)} pages")
        frame = tiff.frames[index]
        image = tiff.image
        try:
            if image is not None:
                image.seek(frame)
        except SyntaxError:
            # Pillow does not know such pixels.
            image = None
        if image is None or _is_deep(image):
            return _read_deep(tiff.deep().pages[frame].aspage(), wanted)
        check_size(image.size)
        tags: Any = image.tag_v2  # type: ignore[attr-defined]
        bits = max(tags.get(BITS, (1,)))
        words = {
            "turned": tags.get(ORIENTATION, 1) in TRANSPOSE,
            "16 bits": bits > 8,
            "white is zero": bits > 1 and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO,
            "smaller copies": tiff.has_copies,
        }
        told = tuple(word for word, holds in words.items() if holds)
        # Before any is read as a whole: the tags of strips are gone then.
        small = [_read_in_parts(path, image, each) for each in wanted]
        if None in small:
            try:
                # Pillow turns it while it loads.
                image.load()
            except OSError:
                if tags.get(COMPRESSION) not in RARE:
                    raise
                return _read_deep(tiff.deep().pages[frame].aspage(), wanted)
        return [
            Picture(to_grey_or_rgb(image, each) if part is None else part, image.size, told)
            for part, each in zip(small, wanted, strict=True)
        ]


def _read_in_parts(path: Path, image: Image.Image, wanted: int) -> Image.Image | None:
    """Read a large page, upright; None where it is to be read as a whole."""
    small = tiff_strips.read_jpeg(path, image, wanted)
    if small is None and tiff_strips.in_strips(image, wanted):
        # Else it is read as a whole.
        with suppress(CannotBeCutError):
            small = tiff_strips.read_reduced(path, image, wanted)
    if small is None:
        return None
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    method = TRANSPOSE.get(tags.get(ORIENTATION, 1))
    return small if method is None else small.transpose(method)


def _is_deep(image: Image.Image) -> bool:
    """Whether it is of a kind that Pillow would show wrong."""
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    bits, numbers = tags.get(BITS, (1,)), tags.get(SAMPLE_FORMAT, (UNSIGNED,))
    if max(bits) <= 8:
        return any(kind not in (UNSIGNED, UNTYPED) for kind in numbers)
    if max(bits) != 16 or any(kind not in (UNSIGNED, UNTYPED) for kind in numbers):
        return True
    if len(bits) == 1:
        return bool(tags.get(PHOTOMETRIC) == WHITE_IS_ZERO)
    return bool(tags.get(PLANES) == SEPARATE and tags.get(COMPRESSION, 1) == NOT_COMPRESSED)


def _read_deep(page: Any, wanted: Sequence[int]) -> list[Picture]:
    check_size((page.imagewidth, page.imagelength))
    kind = int(page.photometric)
    samples = int(page.samplesperpixel)
    colours = {WHITE_IS_ZERO: 1, 1: 1, RGB: 3, CMYK: 4}.get(kind)
    if colours is None or samples < colours:
        raise ValueError(
            f"a TIFF of {page.bitspersample} bits whose colours are {page.photometric.name}; save "
            "it with 8 bits a sample"
        )
    try:
        values = page.asarray()
    except Exception as error:
        if "imagecodecs" not in str(error):
            raise
        raise ValueError(
            f"a TIFF of {page.bitspersample} bits (compression: {page.compression.name.lower()}), "
            "which needs pip install 'doctune[deep]'; or save it with 8 bits, uncompressed"
        ) from error
    values = values.squeeze() if samples == 1 else values
    if samples > 1 and int(page.planarconfig) == SEPARATE:
        values = np.moveaxis(values.reshape(samples, page.imagelength, page.imagewidth), 0, -1)
    values = values.reshape(page.imagelength, page.imagewidth, samples)
    top = brightest(values[..., :colours])
    if values.dtype.kind == "u" and page.bitspersample not in (8, 16, 32, 64):
        top = 2.0**page.bitspersample - 1
    inverted = kind == WHITE_IS_ZERO
    levels = scaled(values[..., :colours], top, white_is_zero=inverted)
    if samples > colours and int((page.extrasamples or (0,))[0]) and kind == RGB:
        levels = np.concatenate([levels, scaled(values[..., 3:4], top)], axis=-1)
    modes = {1: "L", 3: "RGB", 4: "CMYK" if kind == CMYK else "RGBA"}
    mode = modes[levels.shape[-1]]
    image = Image.frombytes(mode, levels.shape[1::-1], levels.tobytes())
    tag = page.tags.get(ORIENTATION)
    method = TRANSPOSE.get(int(tag.value)) if tag is not None else None
    if method is not None:
        image = image.transpose(method)
    words = {
        "turned": method is not None,
        f"{page.bitspersample} bits": page.bitspersample != 8,
        "white is zero": inverted,
    }
    told = tuple(word for word, holds in words.items() if holds)
    return [Picture(to_grey_or_rgb(image, each), image.size, told) for each in wanted]
