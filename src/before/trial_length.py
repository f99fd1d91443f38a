"""How many epochs a trial trains: those of the preset, or more where the images are few.

Three epochs are 45 steps of 960 images in batches of 64, and 9 of 200. After so few a score says
little of a configuration; how many are enough is measured in docs/scores.md. All trials of a study
train the same number of epochs, whatever their batches, as they are compared epoch by epoch and
what is found is trained for a number of epochs in the end.

Under `quick_validation.seconds` they train for the same time instead, each as many epochs as fit.

What stands here is part of the version of the code (src/before/comparable.py), so no message does.
"""

import math
from dataclasses import dataclass

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from doctune.commands import task_overrides
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
    if chosen_pruner() != AT_RUNGS or (quick.seconds is not None and quick.folds == 1):
        return None
    return rungs(quick.folds, epochs)


def images_between(cfg: DictConfig) -> int:
    """Return over how many images statistics are taken after the other epochs."""
    most = int(cfg.trainer.precise_bn)
    return most if decided_after(cfg, 1) is None else min(most, cfg.quick_validation.precise_bn)


def chosen_pruner() -> str | None:
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
