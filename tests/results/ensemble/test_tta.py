"""Test-time augmentation is chosen for the pages that it pays for."""

import numpy as np
import pytest

from src.results.ensemble.selection import macro_f1
from src.results.ensemble.tta import choose_margin, mixed

LABELS = np.arange(8) % 2
SURE, UNSURE = 0.98, 0.55


def said(first: list[float]) -> np.ndarray:
    """Return probabilities [N, 2] by those of the true class."""
    right = np.array(first)
    found = np.empty((len(right), 2), np.float32)
    found[np.arange(len(right)), LABELS], found[np.arange(len(right)), 1 - LABELS] = (
        right,
        1 - right,
    )
    return found


def test_only_pages_that_are_unsure_are_looked_at_again() -> None:
    plain = said([SURE] * 4 + [UNSURE, 1 - UNSURE] * 2)
    # More views mend the unsure ones, and break what was sure.
    averaged = said([1 - UNSURE] * 4 + [0.8] * 4)
    found = choose_margin(plain, averaged, LABELS, views=5)
    assert found.used
    # Margins of 0.1: the smallest above them is enough.
    assert found.margin == 0.2
    assert found.validation == 1.0 > found.validation_without > found.validation_all
    assert (found.spent.unsure, found.spent.pages) == (4, 8)
    assert found.spent.times == pytest.approx(1 + 5 / 2)
    np.testing.assert_array_equal(mixed(plain, plain, averaged, 0.2)[:4], plain[:4])
    assert macro_f1(mixed(plain, plain, averaged, 0.2), LABELS) == found.validation
    assert found.as_json()["spent"] == {"pages": 8, "unsure": 4, "views": 5}


def test_what_gains_nothing_is_left_out() -> None:
    plain = said([SURE] * 6 + [UNSURE] * 2)
    found = choose_margin(plain, plain[:, ::-1].copy(), LABELS, views=5)
    assert not found.used
    assert found.validation == found.validation_without == 1.0
    assert found.spent.times == 1.0
    np.testing.assert_array_equal(mixed(plain, plain, plain[:, ::-1], found.margin), plain)
