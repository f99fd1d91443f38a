"""What complete trials tell of those that the pruner has ended."""

import math
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial
from scipy.stats import kendalltau

from doctune.study.pruning_safety import (
    LET_THROUGH,
    STOPPED,
    _chance,
    clear_from,
    is_clear,
    is_let_through,
    kendall_tau,
    pruning_safety,
)
from doctune.sweeper.notices import Notices
from doctune.trial import RunningTrial


def trial(number: int, curve: list[float], ended: bool = False, **attrs: Any) -> FrozenTrial:
    made = create_trial(
        state=TrialState.PRUNED if ended else TrialState.COMPLETE,
        value=None if ended else curve[-1],
        intermediate_values=dict(enumerate(curve)),
        user_attrs=attrs,
    )
    made.number = number
    return made


def complete(curves: list[list[float]]) -> list[FrozenTrial]:
    return [trial(number, curve) for number, curve in enumerate(curves)]


# Twelve that stay in their order, and twelve whose order turns round after the first step.
STEADY = [[level / 20, level / 18, level / 15] for level in range(12)]
TURNED = [[(12 - level) / 20, level / 18, level / 15] for level in range(12)]


@pytest.mark.parametrize("digits", [1, 3])
def test_tau_is_scipys_with_ties_and_without(digits: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        one, other = (rng.uniform(size=9).round(digits).tolist() for _ in range(2))
        assert kendall_tau(one, other) == pytest.approx(kendalltau(one, other).statistic)
    assert kendall_tau([1.0, 1.0], [1.0, 2.0]) is None


def test_a_tau_is_clear_where_chance_gives_it_in_less_than_one_case_of_twenty() -> None:
    rng = np.random.default_rng(0)
    for count in (8, 20):
        pairs = rng.uniform(size=(600, 2, count)).tolist()
        found = [kendall_tau(*pair) for pair in pairs]
        share = np.mean([is_clear(tau or 0.0, count) for tau in found])
        assert 0.02 < share < 0.08


def test_a_steady_order_is_safe_and_a_turned_one_is_not() -> None:
    ended = [trial(12, [0.1], ended=True), trial(13, [0.2], ended=True)]
    steady = pruning_safety([*complete(STEADY), *ended], maximize=True)
    assert steady is not None
    assert (steady.tau, steady.ended, steady.step, steady.complete) == (1.0, 2, 0, 12)
    assert not steady.is_unsafe
    assert steady.alike == "much like"
    assert clear_from(complete(STEADY), maximize=True) == 0
    turned = pruning_safety([*complete(TURNED), *ended], maximize=True)
    assert turned is not None
    assert turned.tau == -1.0
    assert turned.is_unsafe
    assert clear_from(complete(TURNED), maximize=True) == 1


def test_lower_is_better_is_the_same_with_the_other_sign() -> None:
    ended = trial(12, [0.3], ended=True)
    up = pruning_safety([*complete(STEADY), ended], maximize=True)
    mirrored = [[-value for value in curve] for curve in STEADY]
    down = pruning_safety(
        [*complete(mirrored), trial(12, [-0.3], ended=True)], maximize=False
    )  # fmt: skip
    assert up == down


def test_what_may_have_been_lost_follows_from_what_complete_trials_gained() -> None:
    gains = [0.0, 0.1, 0.2, 0.3]
    others = [[0.2, 0.2 + gain] for gain in gains] + [[0.5, 0.55]]
    # With 0.4 it would have passed 0.55 after two of five gains: 0, .1, .2, .3 and .05.
    found = pruning_safety([*complete(others), trial(5, [0.4], ended=True)], maximize=True)
    assert found is not None
    assert found.chance == pytest.approx(0.4)
    twice = [trial(number, [0.4], ended=True) for number in (5, 6)]
    found = pruning_safety(complete(others) + twice, maximize=True)
    assert found is not None
    assert found.chance == pytest.approx(1 - 0.6**2)
    assert found.is_unsafe


class Looked(dict[int, float]):
    """A curve that counts how often it is looked at."""

    looks = 0

    def __getitem__(self, step: int) -> float:
        Looked.looks += 1
        return super().__getitem__(step)


def test_the_chance_of_a_long_study_is_the_plain_one_at_a_look_a_step() -> None:
    draw = np.random.default_rng(0)
    curves = [Looked(enumerate(draw.normal(size=1 + n % 5).tolist())) for n in range(60)]
    curves[7][1] = math.nan
    lasts = [curve[max(curve)] for curve in curves]
    pruned = [trial(n, draw.normal(-2, 1, 1 + n % 3).tolist(), ended=True) for n in range(50)]
    none_is_better = 1.0
    for one in pruned:
        step = max(one.intermediate_values)
        reached = [
            one.intermediate_values[step] + (end - curve[step]) > max(lasts)
            for curve, end in zip(curves, lasts, strict=True)
            if step in curve
        ]
        none_is_better *= 1 - sum(reached) / len(reached)
    assert 0.1 < none_is_better < 0.9
    Looked.looks = 0
    assert _chance(pruned, 1, curves, lasts) == pytest.approx(1 - none_is_better)
    # Of three steps; one by one they would be 1,800.
    assert Looked.looks <= 3 * len(curves)


def test_a_limit_of_time_is_not_the_pruner() -> None:
    late = trial(12, [0.1], True, **{STOPPED: "timeout"})
    assert pruning_safety([*complete(STEADY), late], maximize=True) is None
    assert pruning_safety(complete(STEADY), maximize=True) is None


def test_one_let_through_that_is_the_best_is_told() -> None:
    spared = trial(12, [0.0, 0.9, 0.95], False, **{LET_THROUGH: 0})
    found = pruning_safety([*complete(STEADY), spared], maximize=True)
    assert found is not None
    assert found.let_through == {12: 1}
    assert found.has_lost_the_best
    assert found.is_unsafe
    usual = trial(12, [0.0, 0.1, 0.1], False, **{LET_THROUGH: 0})
    found = pruning_safety([*complete(STEADY), usual], maximize=True)
    assert found is not None
    assert found.let_through == {12: 11}
    assert not found.is_unsafe


@pytest.mark.parametrize(
    ("share", "through"), [(0.0, []), (0.1, [5, 15, 25]), (0.5, [1, 3, 5]), (1.0, [1, 2, 3])]
)
def test_the_share_that_goes_on_is_spread_evenly(share: float, through: list[int]) -> None:
    trials: list[FrozenTrial] = []
    found = []
    for number in range(1, 27):
        goes_on = is_let_through(trials, share)
        if goes_on:
            found.append(number)
        trials.append(trial(number, [0.0], not goes_on, **({LET_THROUGH: 0} if goes_on else {})))
    assert found[: len(through)] == through
    assert bool(found) == bool(through)


class Always(optuna.pruners.BasePruner):
    """Ends everything."""

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        return True


def test_a_trial_that_is_let_through_runs_to_its_end_and_says_so() -> None:
    study = optuna.create_study(pruner=Always(), direction="maximize")
    lengths = []
    for _ in range(6):
        running = RunningTrial(study, study.ask().number, prune=True, let_through=0.1)
        try:
            for step in range(4):
                running.report(0.1 * step, step)
                running.raise_if_over()
            running.end_as_complete(0.3)
        except optuna.TrialPruned:
            running.end_as_pruned()
        lengths.append(len(study.trials[-1].intermediate_values))
    assert lengths == [1, 1, 1, 1, 4, 1]
    assert [t.number for t in study.trials if LET_THROUGH in t.user_attrs] == [4]
    assert study.trials[4].user_attrs[LET_THROUGH] == 0


class Heard:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def tell(self, text: str) -> None:
        """Keep it."""
        self.lines.append(text)


def test_a_search_tells_once_that_its_pruning_does_harm() -> None:
    study = optuna.create_study(direction="maximize")
    study.add_trial(trial(0, [0.1], ended=True))
    heard: Any = Heard()
    notices = Notices(study, heard)
    for curve in TURNED:
        study.add_trial(trial(0, curve))
        notices.look()
    assert len(heard.lines) == 1
    assert "pruning may do harm" in heard.lines[0]
    assert "Kendall's tau" in heard.lines[0]
    assert "prune=false ends none" in heard.lines[0]
