"""How many epochs a trial trains: those of the preset, or more where the images are few.

Three epochs are 45 steps of 960 images in batches of 64, and 9 of 200. After so few a score says
little of a configuration; how many are enough is measured in docs/scores.md. All trials of a study
train the same number of epochs, whatever their batches, as they are compared epoch by epoch and
what is found is trained for a number of epochs in the end.

Under `quick_validation.seconds` they train for the same time instead, each as many epochs as fit.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from doctune.commands import task_overrides
from doctune.words import counted
from src.before.sizes import told_if_bounded
from src.data.folds import parts_of

SECONDS = "quick_validation.seconds"
# The pruner that decides at rungs, in conf/hydra/sweeper/pruner.
AT_RUNGS = "promoted"
# Where a trial keeps how many epochs it trains under it; whoever continues it trains as many.
NOTE = "epochs_in_time"
EPOCHS, MIN_STEPS = "quick_validation.epochs", "quick_validation.min_steps"


def epochs_of_trials(cfg: DictConfig, images: int, largest: int) -> int:
    """Return the epochs of a fold: `quick_validation.epochs`, or more for its `min_steps`.

    Under `quick_validation.seconds` each trial has its own number, see `epochs_in_time`.

    Args:
        cfg: the whole config.
        images: that are cut into folds.
        largest: batch of those that are searched.
    """
    asked = int(cfg.quick_validation.epochs)
    if cfg.quick_validation.seconds is not None:
        return asked
    return max(asked, math.ceil(least_steps(cfg) / steps_an_epoch(cfg, images, largest)))


def rungs(folds: int, epochs: int) -> tuple[int, ...]:
    """Return after which epochs of a fold its trial is compared with others, the last among them.

    A single split has no end of a fold at which a trial could still be ended: there two thirds of
    it say enough (docs/curves.md).

    Args:
        folds: of a trial.
        epochs: of a fold, or the equal shares of its time that trials are compared at.
    """
    return (epochs,) if folds > 1 else tuple(sorted({math.ceil(2 * epochs / 3), epochs}))


def decided_after(cfg: DictConfig, epochs: int) -> tuple[int, ...] | None:
    """Return the epochs of a fold after which trials are compared; None: after all.

    Args:
        cfg: of a search or of its trial.
        epochs: of a fold.
    """
    if not cfg.pruning.enabled:
        return (epochs,)
    quick = cfg.quick_validation
    # Of a single split under `seconds` a rung is at a share of its time, and not at one epoch.
    if _pruner() != AT_RUNGS or (quick.seconds is not None and quick.folds == 1):
        return None
    return rungs(quick.folds, epochs)


def images_between(cfg: DictConfig) -> int:
    """Return over how many images statistics are taken after the other epochs."""
    most = int(cfg.trainer.precise_bn)
    return most if decided_after(cfg, 1) is None else min(most, cfg.quick_validation.precise_bn)


def _pruner() -> str | None:
    """Return what is chosen of conf/hydra/sweeper/pruner."""
    choices = HydraConfig.get().runtime.choices if HydraConfig.initialized() else {}
    chosen: str | None = choices.get("hydra/sweeper/pruner")
    return chosen


def steps_an_epoch(cfg: DictConfig, images: int, batch_size: int) -> int:
    """Return the optimizer steps of an epoch of one fold, the smallest where they differ."""
    held_out = math.ceil(images / parts_of(cfg.quick_validation.folds))
    batches = max(1, (images - held_out) // batch_size)
    steps: int = math.ceil(batches / cfg.trainer.accumulate_grad_batches)
    return steps


def least_steps(cfg: DictConfig) -> int:
    """Return `quick_validation.min_steps`, or 0: whoever types epochs alone gets these."""
    words = task_overrides(HydraConfig.get()) if HydraConfig.initialized() else []
    typed = {word.partition("=")[0].lstrip("+") for word in words}
    # Under `seconds` they say nothing of a trial's length.
    is_timed = cfg.quick_validation.seconds is not None
    if not is_timed and EPOCHS in typed and MIN_STEPS not in typed:
        return 0
    return int(cfg.quick_validation.min_steps)


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
    if not cfg.pruning.enabled or _pruner() != AT_RUNGS:
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


@dataclass(frozen=True)
class InTime:
    """The epochs of a fold under `quick_validation.seconds`."""

    epochs: int
    # Those that the time is enough for, as a fraction.
    fitting: float

    @property
    def is_longer(self) -> bool:
        """Tell whether the least that a fold trains takes longer than the time."""
        return self.epochs > round(self.fitting)


def epochs_in_time(cfg: DictConfig, an_epoch: float, steps: int, once: float = 0.0) -> InTime:
    """Return how many epochs a fold trains in its share of `quick_validation.seconds`.

    The nearest whole number, as rounding down would spare dear trials up to half of their time; at
    least one, and those of `min_steps`.

    Args:
        cfg: the whole config.
        an_epoch: seconds of an epoch, with what is scored after it.
        steps: optimizer steps of an epoch.
        once: seconds of a fold that do not depend on its epochs.
    """
    quick = cfg.quick_validation
    fitting = max(0.0, quick.seconds / quick.folds - once) / an_epoch
    least = max(1, math.ceil(least_steps(cfg) / steps))
    return InTime(max(least, round(fitting)), fitting)


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
