"""Greedy selection, on cases whose answer is known and on any."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from torchmetrics.classification import MulticlassF1Score

from src.results.ensemble.selection import (
    Floats,
    Labels,
    macro_f1,
    paired_gain,
    select_greedily,
    weighted_mean,
)


def model(labels: Labels, right: list[int], sure: float, classes: int = 3) -> Floats:
    """Return a model that is right on some images, as sure as that, and wrong on the others."""
    found = np.full((len(labels), classes), (1 - sure) / (classes - 1))
    for row, label in enumerate(labels):
        found[row, label if row in right else (label + 1) % classes] = sure
    return found


def test_models_that_err_on_different_images_are_combined() -> None:
    labels = np.arange(12) % 3
    first = model(labels, [0, 1, 2, 3, 4, 5, 6, 7], sure=0.7)
    first[8:] = 1 / 3
    second = model(labels, [6, 7, 8, 9, 10, 11], sure=0.9)
    second[:6] = 1 / 3
    useless = model(labels, [0], sure=0.9)
    found = select_greedily([first, useless, second], labels, rounds=10, most_members=3)
    assert set(found.weights) == {0, 2}
    assert found.ensemble == 1.0
    assert found.single == macro_f1(first, labels)


def test_choosing_with_replacement_gives_weights() -> None:
    labels = np.array([0, 1, 0, 1])
    # Alone the first errs once, where the second is right but half as sure of it.
    first = np.array([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.55, 0.45]])
    second = np.array([[0.2, 0.8], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9]])
    found = select_greedily([first, second], labels, rounds=10, most_members=2)
    assert found.ensemble == 1.0
    mean = weighted_mean([first, second], [found.weights[0], found.weights[1]])
    assert mean.argmax(1).tolist() == labels.tolist()
    halves = (first + second) / 2
    assert found.weights[0] > found.weights[1] or macro_f1(halves, labels) == 1.0


def test_the_best_alone_where_nothing_helps() -> None:
    labels = np.arange(30) % 3
    best = model(labels, list(range(27)), sure=0.95)
    worse = model(labels, list(range(9)), sure=0.6)
    found = select_greedily([worse, best, worse], labels, rounds=20, most_members=5)
    assert found.weights == {1: 1.0}
    assert found.single == found.ensemble


@given(st.integers(1, 6), st.integers(1, 12), st.integers(1, 4), st.integers(0, 10_000))
def test_an_ensemble_is_never_worse_on_what_it_was_chosen_by(
    models: int, rounds: int, most: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 40)
    candidates = [rng.dirichlet(np.ones(4), 40) for _ in range(models)]
    found = select_greedily(candidates, labels, rounds=rounds, most_members=most)
    assert found.single == max(macro_f1(candidate, labels) for candidate in candidates)
    assert found.ensemble >= found.single
    assert len(found.weights) <= min(most, rounds, models)
    assert sum(found.weights.values()) == pytest.approx(1)
    mean = weighted_mean([candidates[i] for i in found.weights], list(found.weights.values()))
    assert macro_f1(mean, labels) == pytest.approx(found.ensemble)


@given(st.integers(2, 6), st.integers(1, 50), st.integers(0, 10_000))
def test_macro_f1_is_scikit_learns(classes: int, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    found = rng.dirichlet(np.ones(classes), count)
    theirs = f1_score(labels, found.argmax(1), average="macro", zero_division=0)
    assert macro_f1(found, labels) == pytest.approx(theirs)


def test_macro_f1_is_the_runs_own_where_a_class_is_missing() -> None:
    labels = np.array([0, 1, 0])
    found = model(labels, [0, 1], sure=0.9, classes=4)
    theirs = MulticlassF1Score(4, average="macro")(torch.tensor(found), torch.tensor(labels))
    assert macro_f1(found, labels) == pytest.approx(theirs.item())


def test_a_gain_has_an_interval_that_tells_chance_from_more() -> None:
    labels = np.arange(300) % 3
    good = model(labels, list(range(280)), sure=0.9)
    poor = model(labels, list(range(200)), sure=0.9)
    clear = paired_gain(good, poor, labels)
    assert 0 < clear.low < clear.mean < clear.high
    same = paired_gain(good, good, labels)
    assert (same.mean, same.low, same.high) == (0, 0, 0)
