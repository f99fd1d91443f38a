"""The perceptual hash beside ImageHash's own."""

import imagehash
import numpy as np
import pytest
from PIL import Image

from src.data.phash import SIDE, SQUARE, bits, phash
from tests.data.templates import KINDS, fill_in, scan


def pages() -> list[Image.Image]:
    """Return pages of all kinds, every other one scanned."""
    rng = np.random.default_rng(0)
    sheets = [fill_in(kind, 0, 0) for kind in KINDS]
    return [scan(sheet, rng) if i % 2 else sheet for i, sheet in enumerate(sheets)]


def theirs(image: Image.Image) -> list[int]:
    packed: list[int] = np.packbits(imagehash.phash(image, SIDE, 2).hash).tolist()
    return packed


def test_it_is_the_librarys_but_for_what_that_rounds() -> None:
    """Of a square all bits; of a page, which the library rounds twice first, 19 of 20."""
    for page in pages():
        for grey in (page, page.reduce(4), page.reduce((5, 7))):
            square = np.asarray(grey.resize((SQUARE, SQUARE), Image.Resampling.LANCZOS))
            assert bits(square).tolist() == theirs(grey)
            other = np.bitwise_count(phash(grey) ^ np.array(theirs(grey), np.uint8)).sum()
            assert other <= SIDE * SIDE / 20


@pytest.mark.parametrize("level", [0, 3, 254, 255])
def test_an_empty_page_has_the_same_at_any_brightness(level: int) -> None:
    empty = np.full((SQUARE, SQUARE), level, np.uint8)
    # The first is the mean.
    assert bits(empty).tolist() == [128 * (level > 0)] + [0] * (SIDE * SIDE // 8 - 1)


def test_a_page_that_is_its_own_mirror_image() -> None:
    """Half of its waves are nothing, and what is left of them in sums of floats says nothing."""
    half = np.random.default_rng(1).integers(0, 256, (SQUARE, SQUARE // 2), np.uint8)
    whole = np.concatenate([half, half[:, ::-1]], axis=1)
    np.testing.assert_array_equal(bits(whole), bits(whole[:, ::-1].copy()))
