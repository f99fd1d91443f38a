"""How long a trial takes."""

import math

from omegaconf import DictConfig, OmegaConf

from src.hardware.footprint import Footprint
from src.hardware.speed import step_time
from src.training.fit import scored_at_a_time


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
    folds, batch_size = int(cfg.quick_validation.folds), int(cfg.data.batch_size)
    at_a_time = min(micro_batch or batch_size, batch_size)
    held_out = train_images / folds
    steps = max(1, (train_images - held_out) // batch_size)
    pieces = math.ceil(batch_size / at_a_time)
    train = step_time(footprint, math.ceil(batch_size / pieces), cfg.gpu).train * pieces
    evaluated = scored_at_a_time(cfg, at_a_time)
    forward = step_time(footprint, evaluated, cfg.gpu).forward
    return epochs * (steps * train + math.ceil(held_out / evaluated) * forward)


def at_size(cfg: DictConfig, **data: int) -> DictConfig:
    """Return a copy of the config with other sizes."""
    found = OmegaConf.merge(cfg, {"data": data})
    assert isinstance(found, DictConfig)
    return found
