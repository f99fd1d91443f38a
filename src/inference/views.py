"""Test-time augmentation: the views of an image whose probabilities are averaged.

For documents that are read upright: as it is, skewed by 2 degrees either way, and 5 % closer and
farther, which is how one page differs from scan to scan. Mirrored or turned pages are no
documents that anybody scans, so those views are added only where training has shown them to the
model (`augment.hflip`, `augment.half_turn`).
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
POSES = ((0.0, 1.0), (-2.0, 1.0), (2.0, 1.0), (0.0, 1.05), (0.0, 0.95))


def make_views(augment: DictConfig) -> list[View]:
    """Return the views, each from float [B, 3, H, W] to the same shape; the first changes nothing.

    Args:
        augment: the group that the model was trained with.
    """
    turns: list[View] = [_same]
    if augment.get("hflip", 0) > 0:
        turns.append(partial(torch.flip, dims=(3,)))
    if augment.get("half_turn", 0) > 0:
        turns += [partial(_half_turn, before=turn) for turn in list(turns)]
    return [partial(_posed, turn=turn, pose=pose) for turn in turns for pose in POSES]


def _same(images: Tensor) -> Tensor:
    return images


def _half_turn(images: Tensor, before: View) -> Tensor:
    return torch.flip(before(images), dims=(2, 3))


def _posed(images: Tensor, turn: View, pose: tuple[float, float]) -> Tensor:
    images = turn(images)
    degrees, zoom = pose
    if (degrees, zoom) == POSES[0]:
        return images
    cos, sin = math.cos(math.radians(degrees)) / zoom, math.sin(math.radians(degrees)) / zoom
    matrix = images.new_tensor([[cos, -sin, 0], [sin, cos, 0]]).expand(len(images), 2, 3)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
