"""Counts several configs at once, on all cores."""

import multiprocessing
import sys
from collections.abc import Hashable, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from omegaconf import DictConfig

from doctune.errors import UserError
from src.hardware.detect import cores
from src.hardware.footprint import Footprint
from src.training.forecast import footprint_of

Key = TypeVar("Key", bound=Hashable)
# A config, the number of classes, and whether with gradient checkpointing.
Job = tuple[DictConfig, int, bool]


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
