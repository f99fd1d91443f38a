"""Pages worn before they are scored, as scans and photographs of them would be.

Each page is worn by draws that depend on its name and the draw's number alone, so that every
trial, epoch, batch size, process and device scores the same pages, and comparisons stay paired.
They are worn once, on the device in batches, and kept beside the decoded images as what they are:
images. So an epoch under wear costs what an epoch on clean pages costs.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from omegaconf import DictConfig
from torch import Tensor

from src.data.augment import Augment, Normalize
from src.data.cache import Pixels, cached_array
from src.data.config import AugmentConfig
from src.data.decoded import short_hash
from src.data.draws import PageDraws
from src.data.image_set import ImageSet
from src.data.load import NO_WEAR
from src.data.progress import show_progress
from src.data.wear_presets import Wear, wear_of

# Pixels that are worn at a time: 64 pages of 224 px.
PIXELS_AT_A_TIME = 64 * 224**2


def as_scored(cfg: DictConfig, images: ImageSet) -> ImageSet:
    """Return the pages that scores are taken of, where a score decides anything.

    Args:
        cfg: the whole config; `quick_validation.wear` says how they are worn.
        images: as they were decoded.

    Returns:
        With several draws all pages of the first, then all of the second, and so on.
    """
    wear = wear_of(cfg)
    if wear is None:
        return images
    return worn(images, wear, cfg.data.cache_dir, _device(cfg.trainer.accelerator))


def as_tested(cfg: DictConfig, images: ImageSet) -> ImageSet:
    """Return the pages of the test split that a decision is checked on.

    Worn like those that it was taken on, unless they come worn (`data.wear_test`).
    """
    return images if cfg.data.wear_test != NO_WEAR else as_scored(cfg, images)


def worn(images: ImageSet, wear: Wear, cache_dir: str, device: torch.device) -> ImageSet:
    """Return worn copies of pages, `draws` times as many.

    All pages that `images` is a part of are worn when the first part of them is asked for, and
    found in the cache from then on.

    Args:
        images: any part of a data set.
        wear: how.
        cache_dir: where decoded images are kept; those that are not are worn in memory.
        device: that wears them.
    """
    total = len(images.pixels)
    names = [images.name_of(row) for row in range(total)]
    shape = (wear.draws * total, *images.pixels.shape[1:])

    def fill(out: Pixels) -> None:
        _wear_all(images.pixels, names, wear, device, out)

    if images.stored_as:
        facts = [images.stored_as, names, wear.hash]
        stored_as = f"worn-{short_hash(facts)}-{shape[1]}px"
        pixels: Pixels = cached_array(cache_dir, stored_as, shape, fill)
    else:
        stored_as, pixels = "", np.zeros(shape, np.uint8)
        fill(pixels)
    return replace(
        images,
        pixels=pixels,
        targets=np.tile(images.targets, wear.draws),
        rows=np.concatenate([images.rows + draw * total for draw in range(wear.draws)]),
        files=list(images.files) * wear.draws,
        group_of=np.tile(images.group_of, wear.draws),
        stored_as=stored_as,
    )


def _wear_all(
    pixels: npt.NDArray[np.uint8],
    names: Sequence[str],
    wear: Wear,
    device: torch.device,
    out: Pixels,
) -> None:
    change = _Change(wear).to(device)
    side, total = pixels.shape[1], len(pixels)
    size = max(1, PIXELS_AT_A_TIME // side**2)
    tasks = [(draw, first) for draw in range(wear.draws) for first in range(0, total, size)]

    def wear_some(draw: int, first: int) -> None:
        some = slice(first, first + size)
        # A copy: torch warns of pages that are read from the cache, which it could not write to.
        batch = torch.from_numpy(np.array(pixels[some])).to(device)
        draws = PageDraws(names[some], draw, device)
        changed = change(batch.permute(0, 3, 1, 2), draws).permute(0, 2, 3, 1)
        out[draw * total + first : draw * total + first + len(batch)] = changed.cpu().numpy()

    for task in show_progress(tasks, f"wearing pages at {side} px", len(tasks)):
        wear_some(*task)


class _Change(torch.nn.Module):
    """uint8 [B, 3, H, W] and draws -> uint8 of the same shape."""

    def __init__(self, wear: Wear) -> None:
        super().__init__()
        values: Any = wear.values
        cfg = AugmentConfig(**values)
        self._normalize = Normalize(list(cfg.mean), list(cfg.std))
        self._augment = Augment(cfg)

    @torch.inference_mode()
    def forward(self, images: Tensor, draws: PageDraws) -> Tensor:
        changed: Tensor = self._augment(self._normalize(images), draws)
        # As a scanner would: what is beyond black and white is black and white.
        levels = 255 * (changed * self._augment.std + self._augment.mean)
        return levels.round().clamp(0, 255).to(torch.uint8)


def _device(accelerator: str) -> torch.device:
    on_card = accelerator in ("auto", "cuda", "gpu") and torch.cuda.is_available()
    return torch.device("cuda" if on_card else "cpu")
