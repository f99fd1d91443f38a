"""Where the chances of an augmentation come from: fresh ones, or the same for a page every time."""

import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Draws(Protocol):
    """Random numbers for a batch of B images; every call gives the next ones."""

    def uniform(self) -> Tensor:
        """Return one number from 0 to 1 for every image, float32 [B]."""

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers of that shape for every image, float32 [B, *shape]."""


class FreshDraws:
    """From torch's generator of the device: never the same again.

    Args:
        images: [B, ...], of which the number and the device are taken.
    """

    def __init__(self, images: Tensor) -> None:
        self._count = len(images)
        self._device = images.device

    def uniform(self) -> Tensor:
        """Return one number from 0 to 1 for every image, float32 [B]."""
        return torch.rand(self._count, device=self._device)

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers of that shape for every image, float32 [B, *shape]."""
        return torch.randn(self._count, *shape, device=self._device)


class PageDraws:
    """From a generator of each page: the same in every batch, process and device.

    Drawn by NumPy on the CPU, as the generators of devices differ from one another.

    Args:
        names: of the pages, B.
        number: of the draw; another number is another wear of the same page.
        device: where the numbers are wanted.
    """

    def __init__(self, names: Sequence[str], number: int, device: torch.device) -> None:
        self._generators = [_generator(name, number) for name in names]
        self._device = device

    def uniform(self) -> Tensor:
        """Return one number from 0 to 1 for every image, float32 [B]."""
        drawn = np.array([generator.random() for generator in self._generators], np.float32)
        return torch.from_numpy(drawn).to(self._device)

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers of that shape for every image, float32 [B, *shape]."""
        drawn = [each.standard_normal(shape, np.float32) for each in self._generators]
        return torch.from_numpy(np.stack(drawn)).to(self._device)


def _generator(name: str, number: int) -> np.random.Generator:
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return np.random.default_rng([*np.frombuffer(digest, np.uint32).tolist(), number])
