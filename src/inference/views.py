"""Test-time augmentation: the views of an image whose probabilities are averaged.

For documents that are read upright: as it is, skewed by 2 degrees either way, and 5 % closer and
farther, which is how one page differs from scan to scan. Mirrored or turned pages are no
documents that anybody scans, so such a view is added only where training has shown it to the
model (`augment.hflip`, `.vflip`, `.half_turn`, `.quarter_turn`).
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.nn import functional as F

View = Callable[[Tensor], Tensor]

# Degrees, and how much larger the page is seen.
POSES = ((-2.0, 1.0), (2.0, 1.0), (0.0, 1.05), (0.0, 0.95))
# Key of the group `augment` -> the exact turns that it may make, of [B, 3, H, W].
TURNS: dict[str, tuple[View, ...]] = {
    "hflip": (partial(torch.flip, dims=(3,)),),
    "vflip": (partial(torch.flip, dims=(2,)),),
    "half_turn": (partial(torch.rot90, k=2, dims=(2, 3)),),
    "quarter_turn": tuple(partial(torch.rot90, k=k, dims=(2, 3)) for k in (1, 3)),
}


def make_views(augment: DictConfig) -> list[View]:
    """Return the views, each from float [B, 3, H, W] to the same shape; the first changes nothing.

    Args:
        augment: the group that the model was trained with.
    """
    strength = augment.get("strength", 1.0)
    turns = [
        turn for key, found in TURNS.items() if strength * augment.get(key, 0) > 0 for turn in found
    ]
    return [_same, *(partial(_posed, degrees=d, zoom=z) for d, z in POSES), *turns]


def _same(images: Tensor) -> Tensor:
    return images


def _posed(images: Tensor, degrees: float, zoom: float) -> Tensor:
    cos, sin = math.cos(math.radians(degrees)) / zoom, math.sin(math.radians(degrees)) / zoom
    matrix = images.new_tensor([[cos, -sin, 0], [sin, cos, 0]]).expand(len(images), 2, 3)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
