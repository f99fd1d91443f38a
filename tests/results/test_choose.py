"""Which trial is trained with: of one objective by its folds, of a Pareto front by a rule."""

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial, create_trial

from src.results.choose import choose, choose_by_folds, folds_behind
from src.results.confirmation.plan import _contenders
from src.results.summary import rank

# (F1, seconds): the best, nearly as good in half the time, a fair one in a tenth.
FRONT = [(0.900, 100.0), (0.895, 50.0), (0.80, 10.0), (0.60, 9.0)]


@pytest.fixture
def study() -> optuna.Study:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for values in FRONT:
        study.add_trial(optuna.trial.create_trial(values=list(values)))
    return study


@pytest.mark.parametrize(
    ("rule", "tolerance", "number"),
    [
        ("best_first", 0.01, 0),
        ("tolerance", 0.01, 1),
        ("tolerance", 0.0, 0),
        ("tolerance", 0.2, 2),
        ("knee", 0.01, 2),
    ],
)
def test_rules(study: optuna.Study, rule: str, tolerance: float, number: int) -> None:
    assert choose(study, study.best_trials, rule, tolerance).number == number


def test_tolerance_of_what_is_minimized() -> None:
    study = optuna.create_study(directions=["minimize", "minimize"])
    for values in [(1.0, 100.0), (1.005, 50.0), (1.5, 1.0)]:
        study.add_trial(optuna.trial.create_trial(values=list(values)))
    assert choose(study, study.best_trials).number == 1


def test_a_front_of_one_and_a_rule_that_is_unknown(study: optuna.Study) -> None:
    assert choose(study, study.best_trials[:1], "knee").number == 0
    with pytest.raises(ValueError, match="tolerance, knee, best_first"):
        choose(study, study.best_trials, "best")


def of_folds(*folds: float, defaults: bool = False) -> FrozenTrial:
    attrs: dict[str, object] = {"folds": list(folds)} | ({"defaults": True} if defaults else {})
    return create_trial(value=sum(folds) / max(1, len(folds)), user_attrs=attrs)


DEFAULTS = of_folds(0.5, 0.6, 0.7, defaults=True)
LUCKY, SURE, WORSE = of_folds(0.9, 0.59, 0.9), of_folds(0.6, 0.6, 0.8), of_folds(0.4, 0.5, 0.6)


def test_the_best_mean_that_is_behind_on_no_fold() -> None:
    ranked = [LUCKY, SURE, DEFAULTS, WORSE]
    assert choose_by_folds(ranked, maximize=True) is SURE
    assert choose_by_folds(ranked, maximize=True, by="mean") is LUCKY
    assert folds_behind(LUCKY, DEFAULTS, maximize=True) == [2]
    assert folds_behind(WORSE, DEFAULTS, maximize=True) == [1, 2, 3]
    # Of a loss, lower is better.
    assert choose_by_folds(ranked[::-1], maximize=False) is WORSE
    assert folds_behind(LUCKY, DEFAULTS, maximize=False) == [1, 3]


def test_the_defaults_stay_where_all_others_are_behind_somewhere() -> None:
    assert choose_by_folds([LUCKY, DEFAULTS, WORSE], maximize=True) is DEFAULTS


@pytest.mark.parametrize(
    "ranked",
    [[LUCKY, WORSE], [LUCKY, of_folds(defaults=True)]],
    ids=["without defaults", "without folds"],
)
def test_where_there_is_nothing_to_compare_with_the_best_mean_is_chosen(
    ranked: list[FrozenTrial],
) -> None:
    assert choose_by_folds(ranked, maximize=True) is LUCKY


def test_a_trial_of_other_folds_shows_nothing() -> None:
    assert folds_behind(of_folds(0.9, 0.9), DEFAULTS, maximize=True) == [1, 2, 3]


def test_a_confirmation_begins_with_those_that_are_behind_on_no_fold() -> None:
    study = optuna.create_study(direction="maximize")
    rates: dict[str, BaseDistribution] = {"lr": FloatDistribution(0, 1)}
    for lr, trial in zip((0.1, 0.2, 0.3, 0.4), (LUCKY, SURE, DEFAULTS, WORSE), strict=True):
        trial.params, trial.distributions = {"lr": lr}, rates
        study.add_trial(trial)
    complete = study.trials
    contenders = _contenders(study, rank(study, complete), complete[2])
    assert [trial.params["lr"] for trial in contenders] == [0.2, 0.1, 0.4]
    study.set_user_attr("choose", {"by": "mean"})
    contenders = _contenders(study, rank(study, complete), complete[2])
    assert [trial.params["lr"] for trial in contenders] == [0.1, 0.2, 0.4]
