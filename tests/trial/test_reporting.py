"""What a trial reports of its folds, and where it may be ended."""

from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from doctune.study.pruners import PromotedPruner
from doctune.trial import RunningTrial
from src.before.trial_length import rungs
from src.trial.reporting import ReportToStudy
from src.trial.running_score import RunningScore


def trained(study: optuna.Study, folds: int, epochs: int, f1: float) -> int:
    """Report a trial that has this score from the first epoch on; return its epochs."""
    number = study.ask().number
    trial, score = RunningTrial(study, number, prune=True), RunningScore(0.0, 1.0)
    metrics = {"val/loss": 1.0, "val/f1": f1}
    done, trainer = 0, SimpleNamespace(sanity_checking=False, callback_metrics=metrics)
    try:
        for fold in range(folds):
            report = ReportToStudy(
                trial,
                score,
                fold,
                folds,
                epochs,
                epochs,
                lambda t: float(t.callback_metrics["val/f1"]),
            )
            for trainer.current_epoch in range(epochs):
                done += 1
                report.on_validation_end(_any(trainer), _any(None))
            score.end_fold()
        study.tell(number, f1)
    except optuna.TrialPruned:
        study.tell(number, state=TrialState.PRUNED)
    return done


def _any(value: Any) -> Any:
    return value


@pytest.mark.parametrize(
    ("folds", "epochs", "ended_after"),
    [
        (3, 3, 3),
        (2, 5, 5),
        # A single split: two thirds of it.
        (1, 9, 6),
        (1, 5, 4),
        (1, 4, 3),
        # Not before each trial has had its patience, and there is an epoch to save.
        (1, 3, 3),
        (1, 2, 2),
    ],
)
def test_a_poor_trial_is_ended_at_a_rung(folds: int, epochs: int, ended_after: int) -> None:
    study = optuna.create_study(direction="maximize", pruner=PromotedPruner(patience=3))
    assert trained(study, folds, epochs, 0.8) == folds * epochs
    assert trained(study, folds, epochs, 0.5) == ended_after
    assert trained(study, folds, epochs, 0.9) == folds * epochs


def test_the_last_epoch_is_always_compared() -> None:
    for folds in (1, 2, 5):
        for epochs in range(1, 40):
            assert rungs(folds, epochs)[-1] == epochs
