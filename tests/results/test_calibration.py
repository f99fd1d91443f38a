"""Temperatures, held against logits whose temperature is known."""

import numpy as np
import pytest

from src.results.calibration import calibration, calibration_error, temperature


@pytest.mark.parametrize("hot", [0.5, 1.0, 2.5])
def test_the_temperature_that_was_put_in_is_found(hot: float) -> None:
    rng = np.random.default_rng(0)
    exact = rng.normal(0, 2, (6000, 5))
    shares = np.exp(exact) / np.exp(exact).sum(1, keepdims=True)
    labels = np.array([rng.choice(5, p=row) for row in shares])
    # A model that is too sure of itself has logits that are too large.
    assert temperature(exact * hot, labels) == pytest.approx(hot, rel=0.05)
    found = calibration((exact * hot).astype(np.float32), labels, np.arange(6000) % 3)
    assert found is not None
    assert found.after < 0.02
    assert (found.before > 0.05) == (hot != 1)
    assert calibration(exact, labels, labels * 0) is None


def test_the_error_is_the_gap_between_sure_and_right() -> None:
    """By hand: 4 images at 0.9 of which 2 are right, 4 at 0.6 of which 3 are."""
    shares = np.array([[0.9, 0.1]] * 4 + [[0.6, 0.4]] * 4)
    labels = np.array([0, 0, 1, 1, 0, 0, 0, 1])
    assert calibration_error(np.log(shares), labels) == pytest.approx((0.4 + 0.15) / 2)
