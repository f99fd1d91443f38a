"""The value that a trial reports at each step."""

from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.trial.running_score import RunningScore

scores = st.floats(0, 1, allow_nan=False)


@given(
    st.integers(1, 5).flatmap(
        lambda n: st.lists(st.lists(scores, min_size=n, max_size=n), min_size=1, max_size=5)
    )
)
def test_after_each_fold_it_is_the_mean_of_the_last_scores(folds: list[list[float]]) -> None:
    running = RunningScore()
    for i, fold in enumerate(folds):
        for score in fold:
            estimate = running.add(score)
        running.end_fold()
        expected = fmean(done[-1] for done in folds[: i + 1])
        assert estimate == pytest.approx(expected, abs=1e-9)
        assert running.estimate() == pytest.approx(expected, abs=1e-9)
    assert running.finals == [fold[-1] for fold in folds]
    assert running.epochs == sum(map(len, folds))


def test_a_new_fold_like_the_first_changes_nothing() -> None:
    running = RunningScore()
    assert [running.add(score) for score in (0.2, 0.5, 0.8)] == [0.2, 0.5, 0.8]
    running.end_fold()
    assert [running.add(score) for score in (0.2, 0.5, 0.8)] == pytest.approx([0.8, 0.8, 0.8])


def test_a_fold_that_is_ahead_moves_it_by_its_share() -> None:
    running = RunningScore()
    for score in (0.2, 0.8):
        running.add(score)
    running.end_fold()
    assert running.add(0.4) == pytest.approx(0.8 + 0.2 / 2)
