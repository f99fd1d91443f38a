"""The value that a trial reports at each step."""

import math
from statistics import fmean

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from src.trial.running_score import RunningScore

Folds = list[list[float]]


def folds_of(scores: st.SearchStrategy[float]) -> st.SearchStrategy[Folds]:
    """Return a strategy for the curves of 1 to 5 folds of equally many epochs."""
    return st.integers(1, 5).flatmap(
        lambda n: st.lists(st.lists(scores, min_size=n, max_size=n), min_size=1, max_size=5)
    )


f1 = folds_of(st.floats(0, 1, allow_nan=False))
# A loss may overflow to infinity and come back.
log_loss = folds_of(st.floats(0, 1e6) | st.just(math.inf))
# Highest possible value, and curves.
cases = st.tuples(st.just(1.0), f1) | st.tuples(st.just(math.inf), log_loss)


@given(cases)
# A first fold that starts slowly: M + (s - A) is 1.16, and -3.4.
@example((1.0, [[0.1, 0.8], [0.82, 0.9]]))
@example((math.inf, [[8.0, 0.4], [0.5, 0.4]]))
def test_it_stays_in_the_range_and_ends_each_fold_at_the_mean(case: tuple[float, Folds]) -> None:
    high, folds = case
    running = RunningScore(0.0, high)
    for i, fold in enumerate(folds):
        for score in fold:
            estimate = running.add(score)
            assert 0 <= estimate <= high
        running.end_fold()
        expected = fmean(done[-1] for done in folds[: i + 1])
        assert estimate == pytest.approx(expected, abs=1e-9)
        assert running.estimate() == pytest.approx(expected, abs=1e-9)
    assert running.finals == [fold[-1] for fold in folds]
    assert running.epochs == sum(map(len, folds))


@given(cases, st.data())
def test_a_better_fold_is_never_a_worse_estimate(
    case: tuple[float, Folds], data: st.DataObject
) -> None:
    high, folds = case
    epoch = data.draw(st.integers(1, len(folds[0])))
    score = st.floats(0, min(high, 1e6))
    low_score, high_score = sorted([data.draw(score), data.draw(score)])

    def estimate(last: float) -> float:
        running = RunningScore(0.0, high)
        for fold in folds:
            for value in fold:
                running.add(value)
            running.end_fold()
        for value in folds[0][: epoch - 1]:
            running.add(value)
        return running.add(last)

    assert estimate(low_score) <= estimate(high_score)


def test_a_new_fold_like_the_first_changes_nothing() -> None:
    running = RunningScore(0.0, 1.0)
    assert [running.add(score) for score in (0.2, 0.5, 0.8)] == [0.2, 0.5, 0.8]
    running.end_fold()
    assert [running.add(score) for score in (0.2, 0.5, 0.8)] == pytest.approx([0.8, 0.8, 0.8])


@pytest.mark.parametrize(
    ("score", "expected"),
    # Behind, there is more room at the end than at this epoch; ahead, a fifth of 0.8 is left.
    [(0.1, 0.7), (0.6, 0.9), (1.0, 1.0)],
)
def test_a_fold_that_is_ahead_counts_for_what_room_there_is(score: float, expected: float) -> None:
    running = RunningScore(0.0, 1.0)
    for value in (0.2, 0.8):
        running.add(value)
    running.end_fold()
    assert running.add(score) == pytest.approx((0.8 + expected) / 2)
