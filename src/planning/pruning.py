"""What pruning saves: as measured in earlier searches, otherwise what its pruner can save."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig
from optuna.trial import FrozenTrial, TrialState

# Share of the trials that a pruner ends, where trials come in random order; those of conf/hydra/
# sweeper/pruner. Replayed on recorded curves, `patient` ends hardly any
# (tests/benchmarks/pruning.py); of others nothing is known.
ENDS = {"median": 0.5, "percentile": 0.75}
# Fewer trials say little.
ENOUGH_TRIALS = 10


@dataclass(frozen=True)
class Saving:
    """The share of their epochs that trials are spared once pruning may begin."""

    share: float
    # Earlier trials that were pruned in the same way; 0: a guess.
    trials: int = 0


def expected_saving(
    cfg: DictConfig, way: Mapping[str, Any] | None, earlier: Iterable[FrozenTrial]
) -> Saving:
    """Return what pruning saves after a search's first trials.

    Args:
        cfg: the whole config.
        way: `pruner` and `patience`, as trials note them; None: nothing is pruned.
        earlier: trials of any studies; those of equal length and way count.
    """
    if way is None:
        return Saving(0.0)
    epochs = int(cfg.quick_validation.epochs * cfg.quick_validation.folds)
    same = {"epochs": epochs, "pruning": way}
    trained = [
        int(trial.user_attrs["epochs"])
        for trial in earlier
        if _was_pruned_alike(trial, same) and trial.number >= cfg.pruning.n_startup_trials
    ]
    if len(trained) >= ENOUGH_TRIALS:
        return Saving(1 - sum(trained) / (epochs * len(trained)), len(trained))
    # Whoever is ended has trained `patience` epochs, and one more to be compared.
    spared = max(0.0, 1 - (way["patience"] + 1) / epochs)
    return Saving(ENDS.get(str(way["pruner"]), 0.0) * spared)


def _was_pruned_alike(trial: FrozenTrial, same: dict[str, Any]) -> bool:
    load = trial.user_attrs.get("workload", {})
    ended = trial.state is TrialState.COMPLETE or trial.user_attrs.get("stopped") == "pruner"
    return ended and same.items() <= load.items() and "epochs" in trial.user_attrs
