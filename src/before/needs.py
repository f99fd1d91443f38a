"""What a job of a search needs of its card, told to a launcher that packs several on one."""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from doctune.errors import UserError
from doctune.launcher.workers.packing import JobNeeds
from src.data.image_set import ON_DEVICE
from src.hardware import memory
from src.hardware.config import AUTO


def job_needs(
    cfg: DictConfig, jobs: Sequence[DictConfig], n_images: int, n_classes: int
) -> JobNeeds | None:
    """Count the largest job of each model; None where nothing is packed, or nothing can be counted.

    Args:
        cfg: the config of the search.
        jobs: configs of jobs that between them hold every choice and both ends of every range.
        n_images: that are trained on, and scored: they lie on the card where they are few.
        n_classes: C.
    """
    if cfg.gpu.trials_per_device != AUTO or not cfg.gpu.memory_gb:
        return None
    # Imported here, as they bring torch along.
    from src.hardware.speed import keep_busy
    from src.training.forecast import footprint_of

    found = []
    for job in _largest(jobs):
        try:
            footprint = footprint_of(job, n_classes)
        except UserError:
            return None
        images = n_images * 3 * job.data.img_size**2
        if images > 2 * ON_DEVICE * cfg.gpu.memory_gb * memory.GIB:
            images = 0
        # What does not fit whole runs in pieces that do.
        needed = min(
            memory.needed(footprint, job.data.batch_size) + images, memory.available(cfg.gpu)
        )
        found.append(JobNeeds(needed, keep_busy(footprint, job.data.batch_size, cfg.gpu)))
    most = max(needs.device_bytes for needs in found)
    return JobNeeds(most, min(needs.start_with for needs in found))


def _largest(jobs: Sequence[DictConfig]) -> list[DictConfig]:
    """Return a job for each model, with the largest image and batch that any has."""
    models: dict[str, list[DictConfig]] = {}
    for job in jobs:
        models.setdefault(f"{job.model.name} {job.model.kwargs}", []).append(job)
    found: list[Any] = []
    for same in models.values():
        sizes = {key: max(job.data[key] for job in same) for key in ("img_size", "batch_size")}
        found.append(OmegaConf.merge(same[0], {"data": sizes}))
    return found
