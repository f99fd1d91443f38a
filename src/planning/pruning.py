"""What pruning saves: as measured in earlier searches, otherwise as the guide expects."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from omegaconf import DictConfig
from optuna.trial import FrozenTrial, TrialState

from src.trial.forecast import pruning

# Share of the time that pruning saves at a patience, by the guide (section 3: 50-70 %, 30-50 %,
# 10-30 %), the middle of each.
BY_THE_GUIDE = {3: 0.6, 5: 0.4, 10: 0.2}
# Fewer trials say little.
ENOUGH_TRIALS = 10


@dataclass(frozen=True)
class Saving:
    """The share of their epochs that trials are spared once pruning may begin."""

    share: float
    # Earlier trials that were pruned in the same way; 0: as the guide expects.
    trials: int = 0


def expected_saving(cfg: DictConfig, earlier: Iterable[FrozenTrial]) -> Saving:
    """Return what pruning saves after a search's first trials.

    Args:
        cfg: the whole config.
        earlier: trials of any studies; those of equal length, pruner and patience count.
    """
    if not cfg.pruning.enabled:
        return Saving(0.0)
    epochs = int(cfg.quick_validation.epochs * cfg.quick_validation.folds)
    same = {"epochs": epochs, "pruning": pruning(cfg)}
    trained = [
        int(trial.user_attrs["epochs"])
        for trial in earlier
        if _was_pruned_alike(trial, same) and trial.number >= cfg.pruning.n_startup_trials
    ]
    if len(trained) >= ENOUGH_TRIALS:
        return Saving(1 - sum(trained) / (epochs * len(trained)), len(trained))
    patience = int(cfg.pruning.patience)
    share = float(np.interp(patience, list(BY_THE_GUIDE), list(BY_THE_GUIDE.values())))
    # A trial is given `patience` epochs, and one more to compare, whatever happens.
    return Saving(float(min(share, max(0.0, 1 - (patience + 1) / epochs))))


def _was_pruned_alike(trial: FrozenTrial, same: dict[str, Any]) -> bool:
    load = trial.user_attrs.get("workload", {})
    ended = trial.state is TrialState.COMPLETE or trial.user_attrs.get("stopped") == "pruner"
    return ended and same.items() <= load.items() and "epochs" in trial.user_attrs
