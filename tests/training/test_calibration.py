"""Temperatures, held against logits whose temperature is known."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torchmetrics.functional.classification import multiclass_calibration_error

from src.inference.predictor import cooled
from src.training.calibration import (
    BINS,
    Floats,
    Ints,
    calibration,
    calibration_error,
    log_loss,
    temperature,
)


@st.composite
def predictions(draw: st.DrawFn) -> tuple[Floats, Ints]:
    """Draw logits of any scale, and labels that they know something of or nothing."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, classes = draw(st.integers(1, 60)), draw(st.integers(2, 8))
    scores = rng.normal(0, draw(st.floats(0.01, 80)), (count, classes)).astype(np.float32)
    known = draw(st.floats(0, 1))
    labels = np.where(rng.random(count) < known, scores.argmax(1), rng.integers(0, classes, count))
    return scores, labels


@given(predictions())
def test_no_temperature_changes_a_class_or_makes_the_log_loss_it_was_fitted_on_worse(
    drawn: tuple[Floats, Ints],
) -> None:
    scores, labels = drawn
    found = temperature(scores, labels)
    assert found > 0
    assert log_loss(scores / found, labels) <= log_loss(scores, labels) * (1 + 1e-6) + 1e-9
    shares = torch.from_numpy(scores).double().softmax(1)
    hot = cooled(shares, found)
    np.testing.assert_allclose(hot.sum(1), 1, atol=1e-6)
    # Those that were the most probable still are; of what has rounded to 0, none is above another.
    taken = hot[torch.arange(len(hot)), shares.argmax(1)]
    assert bool((taken == hot.max(1).values).all())


@given(predictions())
def test_the_error_is_that_of_torchmetrics(drawn: tuple[Floats, Ints]) -> None:
    scores, labels = drawn
    shares = torch.from_numpy(scores).double().softmax(1)
    # It has one bin more, for what has rounded to 1.
    assume(float(shares.max()) < 1 - 1e-6)
    theirs = multiclass_calibration_error(
        shares,
        torch.from_numpy(labels),
        num_classes=scores.shape[1],
        n_bins=BINS,
    )
    assert calibration_error(scores, labels) == pytest.approx(float(theirs), abs=1e-5)


def test_a_small_split_that_is_all_right_makes_nobody_certain() -> None:
    scores = np.tile([2.0, 0.0, -1.0], (40, 1))
    found = temperature(scores, np.zeros(40, np.int64))
    shares = cooled(torch.from_numpy(scores).softmax(1), found)
    assert float(shares[0, 0]) == pytest.approx(1 - 1 / 42, abs=0.01)


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


def test_who_fits_no_temperature_imports_no_scipy() -> None:
    """A trial, whose imports the first one waits for."""
    code = "import sys, src.training.calibration; print([n for n in sys.modules if 'scipy' in n])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
