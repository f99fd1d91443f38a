"""What a user should know of how long trials train."""

from collections.abc import Collection

from omegaconf import DictConfig

from doctune.words import counted
from src.before.sizes import told_if_bounded
from src.before.trial_length import (
    AT_RUNGS,
    EPOCHS,
    MIN_STEPS,
    SECONDS,
    chosen_pruner,
    epochs_of_trials,
    least_steps,
    rungs,
    steps_an_epoch,
)


def notes_on_length(cfg: DictConfig, images: int, batches: Collection[int]) -> list[str]:
    """Return what a user should know of how long trials train, on batches of which sizes.

    Args:
        cfg: the whole config, as it was before the number of epochs was set in it.
        images: that are cut into folds.
        batches: that are searched.
    """
    largest = max(batches)
    told = (
        told_if_bounded(cfg, batches),
        told_if_longer(cfg, images, largest),
        told_if_timed(cfg),
        told_if_never_pruned(cfg, epochs_of_trials(cfg, images, largest)),
    )
    return [note for note in told if note is not None]


def told_if_longer(cfg: DictConfig, images: int, largest: int) -> str | None:
    """Say so where trials train for more epochs than asked for, None where they do not.

    Args:
        cfg: the whole config, as it was before the number was set in it.
        images: that are cut into folds.
        largest: batch of those that are searched.
    """
    asked, epochs = cfg.quick_validation.epochs, epochs_of_trials(cfg, images, largest)
    if epochs == asked:
        return None
    steps = counted(steps_an_epoch(cfg, images, largest), "step")
    return (
        f"{MIN_STEPS}={least_steps(cfg)}: an epoch has {steps} of {largest} images, so trials "
        f"train {epochs} epochs a fold and not {asked}; give {EPOCHS}={asked} for no more"
    )


def told_if_never_pruned(cfg: DictConfig, epochs: int) -> str | None:
    """Say so where pruning is on and no trial could be ended before its last epoch; else None.

    Args:
        cfg: the whole config.
        epochs: of a fold, or the equal shares of its time that trials are compared at.
    """
    if not cfg.pruning.enabled or chosen_pruner() != AT_RUNGS:
        return None
    folds, patience = cfg.quick_validation.folds, cfg.pruning.patience
    compared = [fold * epochs + rung for fold in range(folds) for rung in rungs(folds, epochs)][:-1]
    if any(done >= patience for done in compared):
        return None
    unit = "epoch" if cfg.quick_validation.seconds is None else "equal share"
    trials = f"trials of {counted(folds, 'fold')} of {counted(epochs, unit)}"
    if not compared:
        return f"pruning.enabled=true: {trials} are compared at their end, so none is ended early"
    return (
        f"pruning.patience={patience}: {trials} are compared after {compared[-1]} at the latest, "
        f"so none is ended early; lower it, or raise {EPOCHS}"
    )


def told_if_timed(cfg: DictConfig) -> str | None:
    """Say what trials under `quick_validation.seconds` have in common; None without it."""
    quick = cfg.quick_validation
    if quick.seconds is None:
        return None
    return (
        f"{SECONDS}={quick.seconds:g}: a trial trains as many epochs as it can in that time, "
        f"{counted(quick.folds, 'fold')} together, and is compared with others at "
        f"{counted(quick.epochs, 'equal share')} of each ({EPOCHS})"
    )
