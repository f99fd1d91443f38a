"""What happens to a batch on the device: normalisation, and augmentation drawn per image."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from src.data.config import AugmentConfig


class Normalize(nn.Module):
    """uint8 [B, 3, H, W] -> float32, (x / 255 - mean) / std in one multiply-add."""

    scale: Tensor
    offset: Tensor

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        deviation = torch.tensor(std).view(1, 3, 1, 1)
        self.register_buffer("scale", 1 / (255 * deviation), persistent=False)
        self.register_buffer(
            "offset", -torch.tensor(mean).view(1, 3, 1, 1) / deviation, persistent=False
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the normalised images, in the memory format of `images`."""
        return torch.addcmul(self.offset, images.to(self.scale.dtype), self.scale)


class Augment(nn.Module):
    """float [B, 3, H, W] -> float, each image with its own draw; does nothing at zero strength."""

    def __init__(self, cfg: AugmentConfig) -> None:
        super().__init__()
        self._cfg = cfg
        self._moves = any((cfg.shift, cfg.rotate, cfg.hflip, cfg.half_turn))

    def forward(self, images: Tensor) -> Tensor:
        """Return augmented images of the same shape."""
        if self._moves:
            grid = F.affine_grid(self._matrices(images), list(images.shape), align_corners=False)
            grid = grid.to(images.dtype)
            images = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
        if self._cfg.contrast:
            gain, bias = (self._uniform(images, self._cfg.contrast) for _ in range(2))
            images = images * (1 + gain) + bias
        return images

    def _uniform(self, images: Tensor, strength: float) -> Tensor:
        """Return one draw from -strength..strength an image, [B, 1, 1, 1]."""
        draw = torch.rand(len(images), 1, 1, 1, device=images.device, dtype=images.dtype)
        return (2 * draw - 1) * strength

    def _matrices(self, images: Tensor) -> Tensor:
        cfg, n, device = self._cfg, len(images), images.device
        angle = (2 * torch.rand(n, device=device) - 1) * math.radians(cfg.rotate)
        angle = angle + math.pi * (torch.rand(n, device=device) < cfg.half_turn)
        mirror = 1 - 2 * (torch.rand(n, device=device) < cfg.hflip).float()
        # The grid runs from -1 to 1, so a share of the side is twice as much there.
        shift = (2 * torch.rand(n, 2, device=device) - 1) * 2 * cfg.shift
        cos, sin = angle.cos(), angle.sin()
        return torch.stack(
            (
                torch.stack((cos * mirror, -sin, shift[:, 0]), 1),
                torch.stack((sin * mirror, cos, shift[:, 1]), 1),
            ),
            1,
        )
