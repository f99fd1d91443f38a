"""What is told of a page that was read."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps
from sklearn.datasets import load_digits

from src.data.reading import _is_blank


def sheet(paper: int, ink: int, words: str) -> Image.Image:
    page = Image.new("L", (256, 256), paper)
    ImageDraw.Draw(page).text((100, 120), words, fill=ink)
    # A scan's noise, and its dark edge, which is no writing.
    noise = np.random.default_rng(0).integers(-8, 9, (256, 256))
    pixels = np.clip(np.asarray(page) + noise, 0, 255)
    pixels[:4] = ink
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.mark.parametrize("paper", [250, 200, 140])
@pytest.mark.parametrize("words", ["", "a word"])
def test_a_negative_is_blank_where_its_page_is(paper: int, words: str) -> None:
    page = sheet(paper, 20, words)
    assert _is_blank(page) is (not words)
    assert _is_blank(ImageOps.invert(page)) is (not words)


def test_no_digit_is_blank_whatever_it_is_written_on() -> None:
    for digit in load_digits().images[:300]:
        picture = Image.fromarray((digit * 255 / 16).astype(np.uint8)).resize((64, 64))
        assert not _is_blank(picture)
        assert not _is_blank(ImageOps.invert(picture))
