"""How many epochs a trial trains: those of the preset, or more where the images are few.

Three epochs are 45 steps of 960 images in batches of 64, and 9 of 200. After so few a score says
little of a configuration; how many are enough is measured in docs/scores.md. All trials of a study
train the same number of epochs, whatever their batches, as they are compared epoch by epoch and
what is found is trained for a number of epochs in the end.
"""

import math

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from doctune.commands import task_overrides
from src.data.folds import parts_of

EPOCHS, MIN_STEPS = "quick_validation.epochs", "quick_validation.min_steps"


def epochs_of_trials(cfg: DictConfig, images: int, largest: int) -> int:
    """Return the epochs of a fold: `quick_validation.epochs`, or more for its `min_steps`.

    Args:
        cfg: the whole config.
        images: that are cut into folds.
        largest: batch of those that are searched.
    """
    asked = int(cfg.quick_validation.epochs)
    return max(asked, math.ceil(least_steps(cfg) / steps_an_epoch(cfg, images, largest)))


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
    if EPOCHS in typed and MIN_STEPS not in typed:
        return 0
    return int(cfg.quick_validation.min_steps)


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
    steps = steps_an_epoch(cfg, images, largest)
    return (
        f"{MIN_STEPS}={least_steps(cfg)}: an epoch has {steps} {'step' if steps == 1 else 'steps'} "
        f"of {largest} images, so trials train {epochs} epochs a fold and not {asked}; give "
        f"{EPOCHS}={asked} for no more"
    )
