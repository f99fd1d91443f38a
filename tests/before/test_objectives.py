"""What a search can be after."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from doctune.errors import UserError
from src.before.objectives import OBJECTIVES, check_objectives, directions_of, fold_score
from src.trial.kept_scores import KeepScores
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
    assert fold_score(name, LABELS, np.log(PROBABILITIES)) == pytest.approx(expected)


def test_a_confident_mistake_costs_what_it_costs() -> None:
    """As torch counts it, also where the probability of the truth rounds to 0."""
    logits = torch.tensor([[18.0, 0.0], [0.0, 150.0]])
    truth = torch.tensor([1, 0])
    kept = KeepScores()
    kept.on_validation_batch_end(None, None, logits, None, 0)  # type: ignore[arg-type]
    expected = float(cross_entropy(logits, truth))
    assert expected == pytest.approx((18 + 150) / 2)
    assert fold_score("log_loss", truth.numpy(), kept.scores()) == pytest.approx(expected)


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
        (["optuna.choose_by=folds"], "optuna.choose_by=folds: unknown; known are each_fold, mean"),
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
