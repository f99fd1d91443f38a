"""One trial of a Pareto front, by a rule."""

import optuna
import pytest

from src.results.choose import choose

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
