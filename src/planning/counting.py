"""Counts the training steps of a search: one an image size, at once on all cores."""

import multiprocessing
import sys
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from omegaconf import DictConfig

from doctune.errors import UserError
from src.hardware import memory
from src.hardware.detect import cores
from src.hardware.footprint import Footprint
from src.planning.trial_time import at_size
from src.planning.workload import Searched
from src.training.forecast import footprint_of
from src.training.room import room

Key = TypeVar("Key", bound=Hashable)
# Of the training step, by image size.
Footprints = Mapping[int, Footprint]
# A config, the number of classes, and whether with gradient checkpointing.
Job = tuple[DictConfig, int, bool]


def count_steps(
    cfg: DictConfig, searched: Searched, classes: int, progress: Callable[[str], Any]
) -> tuple[Footprints, Footprints]:
    """Count a step at every image size, and with checkpointing where the largest does not fit.

    Args:
        cfg: the whole config.
        searched: the sizes.
        classes: of the images.
        progress: told what is being done.

    Raises:
        UserError: a step cannot be counted.
    """
    sized = {side: at_size(cfg, img_size=side) for side in searched.img_sizes}
    progress(f"counting a training step of {cfg.model.name}")
    plain = count_all(sized, classes)
    most = max(searched.batch_sizes)
    limit = room(cfg.gpu)
    refused = {
        side: sized[side] for side, found in plain.items() if memory.needed(found, most) > limit
    }
    if refused:
        progress(f"counting {cfg.model.name} with gradient checkpointing")
    return plain, count_all(refused, classes, checkpointing=True)


def count_all(
    configs: Mapping[Key, DictConfig], num_classes: int, *, checkpointing: bool = False
) -> dict[Key, Footprint]:
    """Count the training step of each config; leave out what has no gradient checkpointing.

    Raises:
        UserError: a step cannot be counted without checkpointing.
    """
    jobs = [(config, num_classes, checkpointing) for config in configs.values()]
    try:
        found: list[Footprint | None] = _count_in_parallel(jobs)
    except UserError:
        # A mistake, which is told now; or autograd has run here before, which forbids a fork.
        found = [_count_if_possible(job) for job in jobs]
    counted = zip(configs, found, strict=True)
    return {key: footprint for key, footprint in counted if footprint is not None}


def _count_in_parallel(jobs: list[Job]) -> list[Footprint | None]:
    # Elsewhere a process would have to import torch first, which takes longer than counting.
    if sys.platform != "linux" or len(jobs) < 2 or cores() < 2:
        return [_count_if_possible(job) for job in jobs]
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(min(cores(), len(jobs)), mp_context=context) as pool:
        return list(pool.map(_count, jobs))


def _count_if_possible(job: Job) -> Footprint | None:
    try:
        return _count(job)
    except UserError:
        if job[2]:
            return None
        raise


def _count(job: Job) -> Footprint:
    config, num_classes, checkpointing = job
    return footprint_of(config, num_classes, checkpointing=checkpointing)
