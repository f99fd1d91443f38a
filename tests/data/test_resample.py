"""Grey pages in another size, beside what Pillow makes of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from src.data.resample import levels, resample

FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
SIDES = st.integers(1, 150)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(FILTERS), st.sampled_from([None, 2.0, 3.0]))
def test_it_is_what_pillow_makes_of_it(
    across: int, down: int, width: int, height: int, by: Image.Resampling, gap: float | None
) -> None:
    """Larger, smaller, reduced first or not; Pillow rounds once more in between."""
    rng = np.random.default_rng(across * down)
    # Nothing beyond white and black in between, which Pillow cuts off.
    pixels = rng.integers(80, 176, (down, across)).astype(np.uint8)
    grey = Image.fromarray(pixels)
    found = resample(grey, (width, height), by, gap)
    wanted = np.asarray(grey.resize((width, height), by, reducing_gap=gap), np.float32)
    assert found.shape == wanted.shape
    # A row that is cut off within a pixel counts as a whole one there.
    assert np.abs(found - wanted).max() <= (2 if gap is None else 6)


@pytest.mark.parametrize("by", FILTERS)
@pytest.mark.parametrize("level", [0, 1, 254, 255])
def test_an_even_page_stays_even(by: Image.Resampling, level: int) -> None:
    for size in ((700, 3), (33, 333), (64, 64)):
        found = levels(resample(Image.new("L", size, level), (65, 70), by, 2.0))
        assert (found == level).all()


def test_what_lies_beyond_black_and_white_is_cut_off() -> None:
    values = np.array([[-9, -0.6, 0.4, 0.6], [254.4, 254.6, 255.6, 300]], np.float32)
    assert levels(values).tolist() == [[0, 0, 0, 1], [254, 255, 255, 255]]
