"""Trials that share a card: how many fit, how long one takes then, and what one more would gain."""

import copy
import dataclasses
from collections.abc import Sequence

from omegaconf import DictConfig

from src.hardware import memory
from src.hardware.config import AUTO
from src.planning.counting import Footprints
from src.planning.earlier_trials import Correction
from src.planning.search_plan import Cell
from src.planning.trial_time import at_size, length_of_trial, trial_seconds
from src.planning.workload import Images
from src.training.room import room


def trials_a_card(cfg: DictConfig, cells: Sequence[Cell]) -> int:
    """Return how many of the largest trials fit into a whole card; 1 where its size is unknown.

    Args:
        cfg: the whole config.
        cells: sizes of trials.
    """
    if not cfg.gpu.memory_gb:
        return 1
    a_trial = memory.available(cfg.gpu)
    images = a_trial - room(cfg.gpu)
    card = a_trial * memory.sharing(cfg.gpu)
    return max(1, int(card // (images + max(cell.needed for cell in cells))))


def in_company(
    cfg: DictConfig,
    images: Images,
    cell: Cell,
    plain: Footprints,
    together: int,
    corrected: Correction,
) -> Cell:
    """Return a cell with the time of a trial that shares its card with others.

    Args:
        cfg: the whole config.
        images: of the data.
        cell: of a trial that has the card to itself.
        plain: of steps without checkpointing.
        together: trials on the card.
        corrected: what measured trials say of estimates.
    """
    shared = at_size(cfg, img_size=cell.img_size, batch_size=cell.batch_size)
    shared.gpu.trials_per_device = together
    footprint = plain[cell.img_size]
    epochs, seconds = length_of_trial(
        shared, footprint, images.train, cell.micro_batch, corrected.factor
    )
    return dataclasses.replace(cell, epochs=epochs, seconds=seconds)


def gain_of_sharing(
    cfg: DictConfig, images: Images, cells: Sequence[Cell], plain: Footprints, fitting: int
) -> float:
    """Return how many times as many trials a card gets through with one more at a time.

    Args:
        cfg: the whole config.
        images: of the data.
        cells: sizes of trials.
        plain: of steps without checkpointing.
        fitting: trials that fit into the card; 1.0 is returned where no further one does.
    """
    now = memory.sharing(cfg.gpu)
    if fitting <= now or cfg.gpu.trials_per_device == AUTO:
        return 1.0
    shared = copy.deepcopy(cfg)
    shared.gpu.trials_per_device = now + 1
    epochs = cfg.quick_validation.epochs * cfg.quick_validation.folds

    def a_trial(config: DictConfig) -> float:
        return sum(
            trial_seconds(
                at_size(config, img_size=cell.img_size, batch_size=cell.batch_size),
                plain[cell.img_size],
                images.train,
                epochs,
            )
            for cell in cells
        )

    return (now + 1) / now * a_trial(cfg) / a_trial(shared)
