"""What more trials are expected to gain, against what they do gain where the truth is known."""

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from doctune.study.expected_gain import ENOUGH, ENOUGH_COMPLETE, expected_gain, gain_of
from doctune.sweeper.notices import Notices


def trials(values: list[float], pruned: int = 0) -> list[FrozenTrial]:
    ended = [create_trial(state=TrialState.PRUNED) for _ in range(pruned)]
    return [*(create_trial(value=value) for value in values), *ended]


@pytest.mark.parametrize("draw", ["exponential", "normal", "uniform"])
def test_it_is_near_what_comes_and_not_below_it(draw: str) -> None:
    rng = np.random.default_rng(0)
    expected, came = [], []
    for _ in range(400):
        values = getattr(rng, draw)(size=40)
        before = values[:30].max()
        expected.append(gain_of(values[:30].tolist(), 30, 10).gain)
        came.append(max(0.0, values[30:].max() - before))
    # Where no tail at all follows, it is the more careful.
    most = {"exponential": 1.2, "normal": 1.2, "uniform": 4.0}[draw]
    assert 0.8 < np.mean(expected) / np.mean(came) < most


def test_the_chance_is_that_of_ten_draws() -> None:
    rng = np.random.default_rng(1)
    draws = rng.exponential(size=(400, 40))
    said = np.mean([gain_of(row[:30].tolist(), 30, 10).chance for row in draws])
    came = np.mean(draws[:, 30:].max(1) > draws[:, :30].max(1))
    assert abs(said - came) < 0.08


def test_more_of_the_same_is_expected_to_gain_less() -> None:
    rng = np.random.default_rng(2)
    draws = rng.normal(size=(200, 200)).tolist()
    gains = [np.mean([gain_of(row[:n], n, 10).gain for row in draws]) for n in (10, 40, 200)]
    assert gains[0] > gains[1] > gains[2] > 0
    assert gain_of(draws[0], 400, 10).gain < gain_of(draws[0], 200, 10).gain
    assert gain_of(draws[0], 200, 20).gain > gain_of(draws[0], 200, 10).gain


def test_of_equal_scores_nothing_is_expected_and_of_few_nothing_said() -> None:
    same = expected_gain(trials([0.5] * ENOUGH), maximize=True)
    assert same is not None
    assert (same.gain, same.chance) == (0.0, 0.0)
    assert expected_gain(trials([0.5] * (ENOUGH - 1)), maximize=True) is None
    assert expected_gain(trials([0.5] * (ENOUGH - 4), pruned=4), maximize=True) is not None
    assert expected_gain(trials([0.5] * (ENOUGH_COMPLETE - 1), pruned=20), maximize=True) is None


def test_the_sign_of_the_scores_does_not_matter_and_pruned_ones_are_draws() -> None:
    values = np.random.default_rng(3).uniform(size=20).tolist()
    up = expected_gain(trials(values), maximize=True)
    down = expected_gain(trials([-value for value in values]), maximize=False)
    assert up == down
    with_pruned = expected_gain(trials(values, pruned=10), maximize=True)
    assert up is not None
    assert with_pruned is not None
    assert with_pruned.gain < up.gain


def test_a_search_has_enough_once_its_limit_is_above_what_is_expected() -> None:
    values = np.random.default_rng(4).uniform(size=ENOUGH).tolist()
    study = optuna.create_study(direction="maximize")
    study.add_trials(trials(values))
    said = expected_gain(study.trials, maximize=True)
    assert said is not None
    for limit, is_enough in ((None, False), (said.gain / 2, False), (2 * said.gain, True)):
        display: Any = None
        notices = Notices(study, display, limit)
        notices.look()
        assert (notices.enough is not None) == is_enough
