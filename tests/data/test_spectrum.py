"""Candidates by the strengths of a page's waves: where a page lies does not count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from src.data import spectrum as room
from src.data.duplicates import REACH, apart, words
from src.data.near_duplicates import same_sheets
from src.data.phash import phash
from src.data.spectrum import NUMBERS, nearest, spectrum_and_ink
from tests.data.templates import fill_in, scan


def test_a_page_that_lies_elsewhere_is_described_alike() -> None:
    """Moved by 20 pixels it stays nearer to itself than to any other page."""
    pages = [fill_in("letter", 0, number) for number in range(6)]
    described = [spectrum_and_ink(page)[0].astype(float) for page in pages]
    mean = np.mean(described, axis=0)
    for number, page in enumerate(pages):
        moved = spectrum_and_ink(ImageChops.offset(page, 20, -12))[0].astype(float)
        agree = [np.corrcoef(moved - mean, each - mean)[0, 1] for each in described]
        assert int(np.argmax(agree)) == number


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (700, 2)])
def test_any_picture_can_be_described(size: tuple[int, int]) -> None:
    described, _ = spectrum_and_ink(Image.new("RGB", size, "grey"))
    assert described.shape == (NUMBERS,)
    assert described.dtype == np.int8


@settings(max_examples=40)
@given(
    st.integers(0, 999),
    st.integers(0, 60),
    st.integers(1, 5),
    st.sampled_from([5, 15, 25, 60]),
    st.sampled_from([0, 0.02, 1]),
)
def test_the_nearest_are_those_of_comparing_all_with_all(
    seed: int, count: int, most: int, spread: int, many: float
) -> None:
    """In pieces of few rows, where few are alike or many, of those that may be of one sheet."""
    rng = np.random.default_rng(seed)
    pages = rng.integers(-67, 68, NUMBERS) + rng.integers(-spread, spread + 1, (count, NUMBERS))
    rows = pages.astype(np.int8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "PAIRS", 200)
        patch.setattr(room, "MANY", many)
        pairs = nearest(rows, most)
    whole = rows / np.linalg.norm(rows.astype(float), axis=1, keepdims=True)
    values = whole - whole.mean(0) if count else whole
    values = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)
    wanted = set()
    for row in range(count):
        others = [
            other
            for other in range(count)
            if other != row
            and (
                values[row] @ values[other] >= room.ALIKE
                or whole[row] @ whole[other] >= room.ALIKE_IN_ALL
            )
        ]
        others.sort(key=lambda other: -float(values[row] @ values[other]))
        wanted |= {(min(row, other), max(row, other)) for other in others[:most]}
    assert {tuple(pair) for pair in pairs.tolist()} == wanted


def test_scans_that_are_far_apart_by_their_hashes_are_found() -> None:
    """Sheets that lie 1.5 degrees askew: most are not near enough to be looked at by its hash."""
    rng = np.random.default_rng(3)
    sheets = [fill_in("timesheet", 100, number) for number in range(8)]
    pages: list[Image.Image] = [*sheets, *(scan(sheet, rng, 1.5, 15) for sheet in sheets[:4])]
    small = [page.convert("RGB").reduce(4) for page in pages]
    looks = np.stack([phash(page.convert("L")) for page in small])
    hashes, right = words(looks), np.arange(4)
    assert (apart(hashes, right, right + 8) > REACH).sum() >= 2
    seen = [spectrum_and_ink(page) for page in small]
    found = same_sheets(
        looks,
        np.stack([waves for waves, _ in seen]),
        lambda index: (seen[index][1], pages[index].size),
        lambda index: pages[index],
    )
    assert found.tolist() == [[number, number + 8] for number in range(4)]
