"""What a search can be after."""

import numpy as np
import pytest

from doctune.errors import UserError
from src.before.objectives import OBJECTIVES, check_objectives, directions_of, fold_score
from tests.conftest import Compose

LABELS = np.array([0, 0, 0, 0, 1, 1])
# Class 0: three of four; class 1: one of two.
PROBABILITIES = np.array([[0.9, 0.1]] * 3 + [[0.2, 0.8]] + [[0.3, 0.7], [0.6, 0.4]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", 4 / 6),
        ("balanced_accuracy", (3 / 4 + 1 / 2) / 2),
        ("f1", (3 / 4 + 1 / 2) / 2),
        ("worst_class_f1", 1 / 2),
        ("log_loss", -np.log([0.9, 0.9, 0.9, 0.2, 0.7, 0.4]).mean()),
    ],
)
def test_scores_of_a_fold(name: str, expected: float) -> None:
    assert fold_score(name, LABELS, PROBABILITIES) == pytest.approx(expected)


def test_a_probability_of_zero_is_a_finite_loss() -> None:
    sure = np.array([[0.0, 1.0], [0.0, 1.0]], np.float16)
    assert 5 < fold_score("log_loss", np.array([0, 1]), sure) < 50


def test_directions_follow_from_the_names(cfg: Compose) -> None:
    assert directions_of(["f1"]) == "maximize"
    assert directions_of(["log_loss"]) == "minimize"
    config = cfg("optuna.objectives=[f1,train_seconds]")
    assert list(config.optuna.direction) == ["maximize", "minimize"]
    check_objectives(config)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["optuna.objectives=[acuracy]"], "'acuracy' is unknown; did you mean accuracy?"),
        (["optuna.objectives=[]"], "name at least one of f1, accuracy"),
        (["optuna.objectives=[f1,f1]"], "each one counts once"),
        (["optuna.objectives=[train_seconds]"], "put a score there"),
        (["optuna.direction=minimize"], "leave the direction out"),
        (["optuna.choose=kne"], "did you mean knee?"),
        (["optuna.objectives=[f1,f1_clean]"], "quick_validation.wear=document"),
        (
            ["optuna.objectives=[f1_clean,f1]", "quick_validation.wear=light"],
            "leave the wear out to search by f1 of clean pages",
        ),
        (["optuna.tolerance=2"], "optuna.tolerance=2"),
    ],
)
def test_objectives_that_make_no_sense(cfg: Compose, overrides: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        check_objectives(cfg(*overrides))
    assert message in str(error.value)


def test_every_name_is_described() -> None:
    assert {objective.direction for objective in OBJECTIVES.values()} == {"maximize", "minimize"}
