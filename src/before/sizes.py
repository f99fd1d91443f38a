"""Batch and image sizes that follow the model and the data; the GPU profile is their limit.

What a card can take is not what few images need: batches of 256 of 1,400 images leave five steps
an epoch. Importing this file registers the resolvers of the configs:

    ${batch_size:}        what a run takes when nothing is said
    ${batch_sizes:[...]}  those of a search's batch sizes that the card and the data are up to
    ${img_size:}          what the model's weights were trained at, as far as the card is up to it
    ${img_sizes:[...]}    those of a search's image sizes that the card is up to
"""

import functools
import json
from collections.abc import Collection
from typing import Any

from omegaconf import DictConfig, OmegaConf

from doctune.errors import UserError
from src.before.asked_of_timm import made_for

# An epoch should have so many steps, unless that means batches below the second number, which
# are usual for data of any size (guide section 4).
STEPS, USUAL_BATCH = 15, 64
# Batch sizes are multiples of it.
MULTIPLE = 8
# No weights of timm were trained on smaller images: on a CPU timm, which brings torch along, need
# not be asked.
SMALLEST_IMAGE = 106
# Keys of `data` that follow from the count.
SIZES = ("batch_size", "img_size")


def batch_size(*, _root_: DictConfig) -> int:
    """Return the profile's own size, or less where the images are few."""
    gpu = _root_.gpu
    choices = batch_sizes(gpu.batch_sizes, _root_=_root_)
    return max((size for size in choices if size <= gpu.batch_size), default=choices[0])


def batch_sizes(wanted: Any, *, _root_: DictConfig) -> list[int]:
    """Return the sizes that are safe on the profile's card and not too large for the data.

    Where that leaves no choice of several, quarters of the largest size that it allows; where none
    is safe on the card, the profile's own.
    """
    gpu = _root_.gpu
    safe = [size for size in wanted if size <= gpu.max_batch_size] or list(gpu.batch_sizes)
    most = most_for(_root_)
    fitting = [size for size in safe if size <= most]
    if len(fitting) >= min(2, len(safe)):
        return fitting
    return sorted({most * quarter // 4 // MULTIPLE * MULTIPLE for quarter in (1, 2, 3, 4)})


def img_size(*, _root_: DictConfig) -> int:
    """Return the side that the model was made for, no more than the profile's own."""
    most = int(_root_.gpu.img_size)
    # Not every door has a model.
    name = OmegaConf.select(_root_, "model.name")
    if name is None or most <= SMALLEST_IMAGE:
        return most
    return min(most, made_for(str(name)) or most)


def img_sizes(wanted: Any, *, _root_: DictConfig) -> list[int]:
    """Return the sizes up to the profile's largest, or the profile's own if none is.

    So a preset for GPUs searches 48 and 64 px on a CPU, where 384 px would take days.
    """
    own = list(_root_.gpu.img_sizes)
    return [size for size in wanted if size <= max(own)] or own


def most_for(cfg: DictConfig) -> int:
    """Return the largest batch that leaves an epoch enough steps, at least a usual one.

    The profile's largest where the images cannot be counted: what is wrong with them is told when
    they are read.
    """
    data: Any = OmegaConf.to_container(cfg.data, resolve=False)
    facts = {key: cfg.data[key] for key in data if key not in SIZES}
    count = _train_images(json.dumps(facts))
    if count is None:
        return int(cfg.gpu.max_batch_size)
    return max(USUAL_BATCH, count // STEPS // MULTIPLE * MULTIPLE)


def told_if_bounded(cfg: DictConfig, searched: Collection[int]) -> str | None:
    """Say so where a search leaves out batches that the card is up to, as images are few.

    Args:
        cfg: the whole config.
        searched: the batch sizes.
    """
    most, usual = most_for(cfg), max(cfg.gpu.batch_sizes)
    if len(set(searched)) < 2 or not max(searched) <= most < usual:
        return None
    return (
        f"data.batch_size is searched up to {max(searched)}, not {usual}, which would leave an "
        f"epoch of so few images less than {STEPS} steps"
    )


@functools.cache
def _train_images(facts: str) -> int | None:
    """Return how many images there are to train on, by the `data` group as JSON.

    As they are listed: without looking into them, so the pages of a PDF count as one.
    """
    data: Any = OmegaConf.create(json.loads(facts))
    total, splits = int(data.n_images), []
    if data.source != "documents":
        # Imported here: other doors start without them.
        from src.data.image_files import SOURCES, list_images

        if data.source not in SOURCES:
            return None
        try:
            listing = list_images(data)
        except (UserError, OSError, ValueError):
            return None
        splits = listing.splits
        total = splits.count("train") if splits else len(listing.names)
    held_out = sum(data[f"{name}_fraction"] for name in ("val", "test") if name not in splits)
    return int(total * (1 - held_out))


OmegaConf.register_resolver("batch_size", batch_size, replace=True)
OmegaConf.register_resolver("batch_sizes", batch_sizes, replace=True)
OmegaConf.register_resolver("img_size", img_size, replace=True)
OmegaConf.register_resolver("img_sizes", img_sizes, replace=True)
