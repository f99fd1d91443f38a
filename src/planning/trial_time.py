"""How long a trial takes.

What pruning saves: as measured in earlier searches, otherwise what its pruner can save.
"""

import math
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from omegaconf import DictConfig
from optuna.trial import FrozenTrial, TrialState

from src.before.trial_length import (
    AT_RUNGS,
    decided_after,
    epochs_in_time,
    images_between,
    rungs,
    steps_an_epoch,
)
from src.data.folds import parts_of
from src.data.wear_presets import wear_of
from src.hardware.footprint import Footprint
from src.hardware.speed import step_time
from src.training.abilities import abilities
from src.training.batch_norm import images_for_statistics
from src.training.fit import scored_at_a_time

# Share of the trials that a pruner ends, where trials come in random order; those of conf/hydra/
# sweeper/pruner. Replayed on recorded curves, `promoted` ends two thirds (docs/curves.md) and
# `patient` hardly any (tests/benchmarks/pruning.py); of others nothing is known.
ENDS = {"promoted": 0.65, "median": 0.5, "percentile": 0.75}
# Fewer trials say little.
ENOUGH_TRIALS = 10


def trial_seconds(
    cfg: DictConfig,
    footprint: Footprint,
    train_images: int,
    epochs: int,
    micro_batch: int | None = None,
) -> float:
    """Estimate the seconds of a trial that trains `epochs` in all its folds together.

    Args:
        cfg: its config.
        footprint: of its training step.
        train_images: of all folds; each fold trains on all but its own share.
        epochs: over all folds.
        micro_batch: images at a time.
    """
    batch_size = int(cfg.data.batch_size)
    at_a_time = min(micro_batch or batch_size, batch_size)
    held_out = train_images / parts_of(cfg.quick_validation.folds)
    steps = max(1, (train_images - held_out) // batch_size)
    pieces = math.ceil(batch_size / at_a_time)
    train = step_time(footprint, math.ceil(batch_size / pieces), cfg.gpu).train * pieces
    evaluated = scored_at_a_time(cfg, at_a_time)
    forward = step_time(footprint, evaluated, cfg.gpu).forward
    wear = wear_of(cfg)
    held_out_worn = held_out * (1 if wear is None else wear.draws)
    scored = math.ceil(held_out_worn / evaluated)
    between = statistics_batches(cfg, images_between(cfg), train_images, evaluated)
    where_decided = statistics_batches(cfg, cfg.trainer.precise_bn, train_images, evaluated)
    seconds: float = epochs * (steps * train + (scored + between) * forward)
    folds = cfg.quick_validation.folds
    decided = sum(epoch > 0 for epoch in decided_after(cfg, epochs // folds) or ())
    seconds += folds * decided * (where_decided - between) * forward
    if wear is not None:
        # Under wear the pages are scored as they are too, at the end of each fold.
        seconds += cfg.quick_validation.folds * math.ceil(held_out / evaluated) * forward
    return seconds


def length_of_trial(
    cfg: DictConfig,
    footprint: Footprint,
    train_images: int,
    micro_batch: int | None,
    factor: float,
) -> tuple[int, float]:
    """Return the epochs of a fold of a trial, and the seconds of all its folds.

    Args:
        cfg: its config; under `quick_validation.seconds` the epochs follow from the time.
        footprint: of its training step.
        train_images: of all folds.
        micro_batch: images at a time.
        factor: what estimates are corrected by.
    """
    quick = cfg.quick_validation

    def a_fold(epochs: int) -> float:
        total = trial_seconds(cfg, footprint, train_images, epochs * quick.folds, micro_batch)
        return factor * total / float(quick.folds)

    epochs = int(quick.epochs)
    if quick.seconds is not None:
        steps, once = steps_an_epoch(cfg, train_images, cfg.data.batch_size), a_fold(0)
        epochs = epochs_in_time(cfg, a_fold(1) - once, steps, once).epochs
    return epochs, quick.folds * a_fold(epochs)


def statistics_batches(cfg: DictConfig, wanted: int, train_images: int, at_a_time: int) -> int:
    """Return how many batches batch norm's statistics are taken over before a validation.

    Args:
        cfg: of a trial.
        wanted: images that they are to be taken over.
        train_images: of all folds.
        at_a_time: images of such a batch.
    """
    if not wanted or not abilities(cfg.model, cfg.data.img_size).batch_norm:
        return 0
    trained = int(train_images * (1 - 1 / parts_of(cfg.quick_validation.folds)))
    return math.ceil(images_for_statistics(wanted, trained, at_a_time) / at_a_time)


def at_size(cfg: DictConfig, **data: int) -> DictConfig:
    """Return a copy of the config with other sizes."""
    # Pickled, as that takes a third of what a merge does, and a plan has some twenty sizes.
    found: DictConfig = pickle.loads(pickle.dumps(cfg))
    for key, size in data.items():
        found.data[key] = size
    return found


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
    # Under `quick_validation.seconds` shares of equal time, as trials differ in their epochs.
    epochs = int(cfg.quick_validation.epochs * cfg.quick_validation.folds)
    seconds = cfg.quick_validation.seconds
    length = {"epochs": epochs} if seconds is None else {"seconds": seconds}
    trained = [
        trial.user_attrs["epochs"] / trial.user_attrs["workload"]["epochs"]
        for trial in earlier
        if _was_pruned_alike(trial, {**length, "pruning": way})
        and trial.user_attrs["workload"].get("seconds") == seconds
        and trial.number >= int(cfg.pruning.n_startup_trials)
    ]
    if len(trained) >= ENOUGH_TRIALS:
        return Saving(1 - fmean(trained), len(trained))
    spared = max(0.0, 1 - _first_judged(cfg, way) / epochs)
    return Saving(ENDS.get(str(way["pruner"]), 0.0) * spared)


def _first_judged(cfg: DictConfig, way: Mapping[str, Any]) -> int:
    """Return the epochs that whoever is ended first has trained."""
    patience, fold = int(way["patience"]), int(cfg.quick_validation.epochs)
    if way["pruner"] == AT_RUNGS:
        first = next(
            (rung for rung in rungs(cfg.quick_validation.folds, fold) if rung >= patience), 0
        )
        return first or fold * math.ceil(patience / fold)
    # One more, to be compared.
    return patience + 1


def _was_pruned_alike(trial: FrozenTrial, same: dict[str, Any]) -> bool:
    load = trial.user_attrs.get("workload", {})
    ended = trial.state is TrialState.COMPLETE or trial.user_attrs.get("stopped") == "pruner"
    return ended and same.items() <= load.items() and "epochs" in trial.user_attrs
