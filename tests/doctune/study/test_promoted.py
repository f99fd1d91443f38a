"""The pruner that compares with those that were promoted, and who asks it when."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import optuna
import pytest
from optuna.trial import TrialState

from doctune.study.pruners import PromotedPruner
from doctune.study.pruning_safety import LET_THROUGH
from doctune.trial import RunningTrial

Direction = Literal["maximize", "minimize"]


def study_of(pruner: PromotedPruner, direction: Direction = "maximize") -> optuna.Study:
    return optuna.create_study(direction=direction, pruner=pruner)


def at_first_rung(study: optuna.Study, value: float, **attrs: Any) -> tuple[optuna.Trial, bool]:
    """Begin a trial that reports once; it runs on unless it is ended."""
    trial = study.ask()
    for name, known in attrs.items():
        trial.set_user_attr(name, known)
    trial.report(value, 0)
    ends = trial.should_prune()
    if ends:
        study.tell(trial, state=TrialState.PRUNED)
    return trial, ends


def ends_of(pruner: PromotedPruner, values: Sequence[float], direction: Direction) -> list[bool]:
    study = study_of(pruner, direction)
    return [at_first_rung(study, value)[1] for value in values]


@pytest.mark.parametrize(
    ("percentile", "ends"),
    [
        # Promoted: .5; .5 .6; .5 .6 .56; all with .8
        (50, [False, True, False, False, True, False]),
        # As good as the best one that went on.
        (0, [False, True, False, True, True, False]),
        (100, [False, True, False, False, False, False]),
    ],
)
def test_a_trial_is_compared_with_those_that_went_on(percentile: float, ends: list[bool]) -> None:
    values = [0.5, 0.4, 0.6, 0.56, 0.54, 0.8]
    assert ends_of(PromotedPruner(percentile), values, "maximize") == ends
    assert ends_of(PromotedPruner(percentile), [-value for value in values], "minimize") == ends


def test_who_runs_counts_and_who_was_let_through_does_not() -> None:
    study = study_of(PromotedPruner())
    first, _ = at_first_rung(study, 0.5)  # still runs
    assert at_first_rung(study, 0.4)[1]
    at_first_rung(study, 0.7)
    assert at_first_rung(study, 0.55)[1]  # below .6
    study.tell(first, 0.5)
    assert at_first_rung(study, 0.55)[1]
    _, ends = at_first_rung(study, 0.9, **{LET_THROUGH: 0})
    assert not ends
    assert at_first_rung(study, 0.59)[1]


def test_nobody_is_ended_before_enough_have_gone_on() -> None:
    pruner = PromotedPruner(n_startup_trials=3)
    # .4 and .6 go on as they are among the first; of these .4 would not have.
    values = [0.5, 0.4, 0.6, 0.54, 0.55, 0.45]
    ends = [False, False, False, True, False, True]
    assert ends_of(pruner, values, "maximize") == ends
    assert ends_of(pruner, [-value for value in values], "minimize") == ends


def test_patience_and_what_is_no_number() -> None:
    study = study_of(PromotedPruner(patience=2))
    at_first_rung(study, 0.5)
    assert not at_first_rung(study, 0.1)[1]
    assert not study_of(PromotedPruner()).ask().should_prune()  # nothing reported
    assert at_first_rung(study_of(PromotedPruner()), math.nan)[1]
    study = study_of(PromotedPruner())
    study.add_trial(optuna.trial.create_trial(value=0.5, intermediate_values={0: math.nan}))
    assert not at_first_rung(study, 0.1)[1]


@pytest.mark.parametrize(
    "wrong", [{"percentile": 101}, {"percentile": -1}, {"patience": -1}, {"n_startup_trials": -1}]
)
def test_numbers_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PromotedPruner(**wrong)  # type: ignore[arg-type]


def steps_trained(study: optuna.Study, value: float, **attrs: Any) -> int:
    """Train two folds of three epochs; values within a fold say nothing."""
    number = study.ask().number
    for name, known in attrs.items():
        study._storage.set_trial_user_attr(study.trials[number]._trial_id, name, known)
    running = RunningTrial(study, number, prune=True)
    try:
        for step in range(6):
            is_end = step % 3 == 2
            running.report(value if is_end else 0.0, step, rung=is_end)
            running.raise_if_over()
        running.end_as_complete(value)
    except optuna.TrialPruned:
        running.end_as_pruned()
    return len(study.trials[number].intermediate_values)


def test_a_job_is_judged_at_rungs_alone_and_the_defaults_never() -> None:
    study = study_of(PromotedPruner())
    assert steps_trained(study, 0.5) == 6
    assert steps_trained(study, 0.4) == 3
    assert steps_trained(study, 0.3, defaults=True) == 6
    # Those who went on have .5 and .3.
    assert steps_trained(study, 0.45) == 6
    assert steps_trained(study, 0.35) == 3


def test_who_has_passed_a_rung_is_not_asked_again_there() -> None:
    study = study_of(PromotedPruner())
    running = RunningTrial(study, study.ask().number, prune=True)
    running.report(0.4, 0)
    assert running.reason_to_stop() is None
    at_first_rung(study, 0.5)
    at_first_rung(study, 0.6)
    assert running.reason_to_stop() is None
    running.report(0.4, 1)
    assert running.reason_to_stop() is None  # the first there
