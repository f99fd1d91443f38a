"""The losses after each epoch that a trial keeps."""

import json
import math
from types import SimpleNamespace
from typing import Any

import optuna

from doctune.trial import RunningTrial
from src.trial.finished_folds import LOSSES
from src.trial.loss_curves import LOGGED, LossCurves


def test_a_loss_that_is_no_number_keeps_its_place() -> None:
    """Left out, it would move those of later epochs one to the left."""
    study = optuna.create_study()
    trial = RunningTrial(study, study.ask().number, prune=True)
    curves, trainer = LossCurves(trial), SimpleNamespace()
    given: list[tuple[float, ...]] = [(2.0, 1.0), (math.inf, 0.5), (0.25, math.nan), (0.2, 0.125)]
    no_module: Any = None
    curves.begin_fold(0)
    for losses in given:
        trainer.callback_metrics = dict(zip(LOGGED.values(), losses, strict=True))
        told: Any = trainer
        curves.on_validation_end(told, no_module)
    curves.note()
    kept = trial.noted(LOSSES)
    assert kept == {"train": [[2.0, None, 0.25, 0.2]], "val": [[1.0, 0.5, None, 0.125]]}
    assert json.loads(json.dumps(kept, allow_nan=False)) == kept
