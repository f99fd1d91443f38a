"""Pages of a template that are filled in alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from src.data.fillings import NUMBERS, Fillings, may_be_alike
from src.data.image_files import find_images
from src.data.near_duplicates import CROWD
from tests.data.pictures import write

PAGES = np.array([2, 3, 5, 8, 13])


def filled(numbers: np.ndarray) -> Fillings:
    none = np.zeros((len(numbers), 0), np.uint8)
    return Fillings(PAGES, numbers.astype(np.float32), none, np.empty(0, np.int64))


def test_pairs_are_left_out_only_where_both_fillings_are_known_and_others() -> None:
    """8 is 3 scanned again; of 1, 4 and 21 nothing is known."""
    rng = np.random.default_rng(0)
    # What all fillings share tells none apart.
    numbers = 5 + rng.normal(size=(5, NUMBERS))
    numbers[3] = numbers[1] + 0.5 * rng.normal(size=NUMBERS)
    pairs = np.array([(3, 8), (2, 3), (5, 13), (1, 3), (4, 21), (13, 21)])
    may = may_be_alike(filled(numbers), pairs)
    assert may.tolist() == [True, False, False, True, True, True]


def test_no_pairs() -> None:
    assert may_be_alike(filled(np.ones((5, NUMBERS))), np.empty((0, 2), np.int64)).shape == (0,)


def test_blank_pages_between_others_are_pages_like_any(
    tmp_path: Path, data: Callable[..., Any]
) -> None:
    """Separators, each a file of its own: a crowd by their hashes, with no template to lie on."""
    root = write(tmp_path / "images", 2)
    for number in range(CROWD):
        blank = Image.new("L", (120, 150), 255)
        blank.save(root / "note" / f"blank{number}.png", dpi=(100 + number, 100))
    found = find_images(data())
    assert len(found.names) == len(set(found.same.tolist())) == 6 + CROWD
