"""What happens to a batch on the device: normalisation, and augmentation drawn per image.

Own tensor operations rather than kornia's: all geometry is one resampling and all light one
multiply-add, and nothing waits for the device, where kornia resamples for every operation and
picks the images of each by a mask, which does wait. What `augment=document` does to 32 images
takes 27 ms at 64 px and 235 ms at 224 px on one core; the same operations of kornia 0.9 take 73
and 358 ms.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from src.data.config import AugmentConfig
from src.data.draws import Draws, FreshDraws

# A blur's kernel reaches this many standard deviations to each side.
REACH = 2.5


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
    """Normalised float [B, 3, H, W] -> the same, changed as a camera and a copier would.

    Every image has its own draw, from torch's generator of the device unless `draws` are given. An
    operation whose size is 0, or all at strength 0, is not run.

    Args:
        cfg: the `augment` group; `strength` multiplies every size and probability in it.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, cfg: AugmentConfig) -> None:
        super().__init__()
        self._geometry = _Geometry(cfg)
        self._blur = cfg.blur * cfg.strength
        self._light = _Light(cfg)
        self._noise = cfg.noise * cfg.strength
        self._erase = min(cfg.erase * cfg.strength, 0.9)
        # Whether it changes anything.
        self.acts = bool(
            self._geometry.acts or self._light.acts or self._blur or self._noise or self._erase
        )
        self.register_buffer("mean", torch.tensor(list(cfg.mean)).view(1, 3, 1, 1), False)
        self.register_buffer("std", torch.tensor(list(cfg.std)).view(1, 3, 1, 1), False)

    def forward(self, images: Tensor, draws: Draws | None = None) -> Tensor:
        """Return augmented images of the same shape and dtype, at full precision inside."""
        if not self.acts:
            return images
        with torch.autocast(images.device.type, enabled=False):
            return self._change(images, draws or FreshDraws(images))

    def _change(self, images: Tensor, draws: Draws) -> Tensor:
        if self._geometry.acts:
            images = self._geometry(images, draws)
        if self._blur:
            most = self._blur * images.shape[-1]
            images = blur(images, most * draws.uniform(), most)
        if self._light.acts:
            images = self._light(images, self.mean, self.std, draws)
        if self._noise:
            amount = self._noise * draws.uniform().view(-1, 1, 1, 1)
            grain = draws.normal(1, *images.shape[2:]).to(images.dtype)
            images = images + amount / self.std.to(images.dtype) * grain
        if self._erase:
            images = erase(images, self._erase * draws.uniform(), draws)
        return images


class _Geometry(nn.Module):
    """Turns, mirrors, shifts, scales and tilts, in one resampling."""

    def __init__(self, cfg: AugmentConfig) -> None:
        super().__init__()
        self._angle = math.radians(min(cfg.rotate * cfg.strength, 180.0))
        self._shift = cfg.shift * cfg.strength
        self._scale = cfg.scale * cfg.strength
        # Beyond, the far side of the page would lie behind the camera.
        self._tilt = min(cfg.perspective * cfg.strength, 0.45)
        self._hflip, self._vflip, self._quarter, self._half = (
            min(share * cfg.strength, 1.0)
            for share in (cfg.hflip, cfg.vflip, cfg.quarter_turn, cfg.half_turn)
        )
        self.acts = any(
            (
                *(self._angle, self._shift, self._scale, self._tilt),
                *(self._hflip, self._vflip, self._quarter, self._half),
            )
        )

    def forward(self, images: Tensor, draws: Draws) -> Tensor:
        angle = self._angle * _signed(draws)
        angle = angle + math.pi * _chance(draws, self._half)
        angle = angle + math.pi / 2 * _chance(draws, self._quarter) * _sign(draws)
        size = torch.exp(math.log1p(self._scale) * _signed(draws))
        across = size * (1 - 2 * _chance(draws, self._hflip))
        down = size * (1 - 2 * _chance(draws, self._vflip))
        # The grid runs from -1 to 1, so a share of the side is twice as much there.
        shift_x, shift_y = (2 * self._shift * _signed(draws) for _ in range(2))
        tilt_x, tilt_y = (self._tilt * _signed(draws) for _ in range(2))
        cos, sin = angle.cos(), angle.sin()
        side = images.shape[-1]
        ends = (1 - side) / side, (side - 1) / side
        x = torch.linspace(*ends, side, device=images.device).view(1, 1, side)
        y = torch.linspace(*ends, images.shape[-2], device=images.device).view(1, -1, 1)

        def plane(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
            # Not a matrix product, which autocast would round to fewer bits than a pixel needs.
            return a.view(-1, 1, 1) * x + b.view(-1, 1, 1) * y + c.view(-1, 1, 1)

        depth = plane(tilt_x, tilt_y, torch.ones_like(angle))
        grid_x = plane(cos * across, -sin * across, shift_x) / depth
        grid_y = plane(sin * down, cos * down, shift_y) / depth
        grid = torch.stack((grid_x, grid_y), -1).to(images.dtype)
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


class _Light(nn.Module):
    """Contrast, brightness and shadows, in one multiply-add."""

    def __init__(self, cfg: AugmentConfig) -> None:
        super().__init__()
        self._contrast = min(cfg.contrast * cfg.strength, 0.95)
        self._brightness = cfg.brightness * cfg.strength
        self._shadow = min(cfg.shadow * cfg.strength, 0.95)
        self.acts = any((self._contrast, self._brightness, self._shadow))

    def forward(self, images: Tensor, mean: Tensor, std: Tensor, draws: Draws) -> Tensor:
        gain = 1 + self._contrast * _signed(draws).view(-1, 1, 1, 1)
        bias = self._brightness * _signed(draws).view(-1, 1, 1, 1)
        # In grey levels x of 0 to 1: (x - 1/2) * gain + 1/2 + bias, times the shadow.
        offset = (1 - gain) / 2 + bias
        if self._shadow:
            shade = 1 - self._shadow * self._shadows(images, draws)
            gain, offset = gain * shade, offset * shade
        mean, std = mean.to(images.dtype), std.to(images.dtype)
        return torch.addcmul((mean * (gain - 1) + offset) / std, images, gain)

    def _shadows(self, images: Tensor, draws: Draws) -> Tensor:
        """Return 0 in the light to 1 at the darkest, over an edge at any place and angle."""
        angle = 2 * math.pi * draws.uniform().view(-1, 1, 1)
        height, width = images.shape[-2:]
        x = torch.linspace(-1, 1, width, device=images.device).view(1, 1, width)
        y = torch.linspace(-1, 1, height, device=images.device).view(1, height, 1)
        across = x * angle.cos() + y * angle.sin() - 1.2 * _signed(draws).view(-1, 1, 1)
        softness = 0.05 + 0.75 * draws.uniform().view(-1, 1, 1)
        depth = draws.uniform().view(-1, 1, 1, 1)
        return (depth * torch.sigmoid(across / softness).unsqueeze(1)).to(images.dtype)


def blur(images: Tensor, sigma: Tensor, most: float) -> Tensor:
    """Blur every image with its own Gaussian, at the edges as if their pixels went on.

    Args:
        images: float [B, C, H, W].
        sigma: standard deviations [B], in pixels.
        most: the largest that there may be, which sets the size of the kernels.

    Returns:
        The same shape.
    """
    count, channels, height, width = images.shape
    reach = max(1, math.ceil(REACH * most))
    steps = torch.arange(-reach, reach + 1, device=images.device)
    kernel = torch.exp(-(steps**2) / (2 * sigma.clamp(min=1e-3).view(-1, 1) ** 2))
    kernel = (kernel / kernel.sum(1, keepdim=True)).to(images.dtype)
    kernel = kernel.repeat_interleave(channels, 0)
    # One group for every plane: a batch of kernels in one convolution for each direction.
    planes = images.reshape(1, count * channels, height, width)
    rows = F.pad(planes, (0, 0, reach, reach), mode="replicate")
    planes = F.conv2d(rows, kernel.view(len(kernel), 1, -1, 1), groups=len(kernel))
    columns = F.pad(planes, (reach, reach, 0, 0), mode="replicate")
    planes = F.conv2d(columns, kernel.view(len(kernel), 1, 1, -1), groups=len(kernel))
    return planes.view(images.shape)


def erase(images: Tensor, area: Tensor, draws: Draws | None = None) -> Tensor:
    """Paint a box over every image (Zhong et al., AAAI 2020, arXiv 1708.04896), in one colour.

    Args:
        images: float [B, C, H, W].
        area: share of the image that the box covers, [B]; parts beyond the edge are cut.
        draws: of shape, place and colour; fresh ones by default.

    Returns:
        The same shape.
    """
    draws = draws or FreshDraws(images)
    height, width = images.shape[-2:]
    # Up to three times as wide as high, or the other way round.
    stretch = torch.exp(math.log(3) / 2 * _signed(draws))
    wide, high = (area.sqrt() * s for s in (stretch, 1 / stretch))
    left, top = (draws.uniform() * (1 - side.clamp(max=1)) for side in (wide, high))
    x = (torch.arange(width, device=images.device) + 0.5) / width
    y = (torch.arange(height, device=images.device) + 0.5) / height
    in_x = (x >= left.view(-1, 1)) & (x < (left + wide).view(-1, 1))
    in_y = (y >= top.view(-1, 1)) & (y < (top + high).view(-1, 1))
    box = in_y.view(-1, 1, height, 1) & in_x.view(-1, 1, 1, width)
    colour = draws.normal(images.shape[1], 1, 1).to(images.dtype)
    return torch.where(box, colour, images)


def _signed(draws: Draws) -> Tensor:
    """Draw from -1..1 for every image, [B]."""
    return 2 * draws.uniform() - 1


def _sign(draws: Draws) -> Tensor:
    return 1 - 2 * _chance(draws, 0.5)


def _chance(draws: Draws, probability: float) -> Tensor:
    """Draw 1 with a probability and else 0 for every image, [B]."""
    return (draws.uniform() < probability).float()
