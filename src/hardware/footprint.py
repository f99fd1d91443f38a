"""Memory and time of a training step at any batch size, from two that were counted.

Every allocation of a step is a line in the batch size: weights do not depend on it,
activations grow with it. Between two counted steps of the same operations the memory after
each operation is therefore known for every batch size, and the peak is the highest of them.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from src.hardware.counted_step import CountedStep, StepKind, count_steps

# Rounding to the allocator's granularity matters below, special cases of a batch of 1 too.
COUNTED = (8, 16)

Floats = npt.NDArray[np.float64]


class Footprint:
    """What a model's training step needs, by batch size."""

    def __init__(self, small: CountedStep, large: CountedStep) -> None:
        if len(small.operations) != len(large.operations):
            raise ValueError("the two steps were not made of the same operations")
        self.small, self.large = small, large
        self._allocated = self._lines("allocated")
        self._flops = self._lines("flops")
        self._moved = self._lines("moved")
        self._wide = np.array([operation.wide for operation in small.operations])

    def _lines(self, name: str) -> tuple[Floats, Floats]:
        """Return offset and slope of each operation's `name` over the batch size."""
        low = np.array([getattr(operation, name) for operation in self.small.operations], float)
        high = np.array([getattr(operation, name) for operation in self.large.operations], float)
        slope = (high - low) / (self.large.batch_size - self.small.batch_size)
        return low - slope * self.small.batch_size, slope

    def peak(self, batch_size: int) -> int:
        """Return the most bytes that tensors take at a time."""
        offset, slope = self._allocated
        return int((offset + slope * batch_size).max())

    def saved(self, batch_size: int) -> int:
        """Return the bytes that forward leaves for backward."""
        low, high = self.small, self.large
        slope = (high.saved - low.saved) / (high.batch_size - low.batch_size)
        return round(low.saved + slope * (batch_size - low.batch_size))

    def work(self, batch_size: int) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
        """Return flops, bytes moved and whether it is in float32, of every operation."""
        flops, moved = (offset + slope * batch_size for offset, slope in (self._flops, self._moved))
        return flops, moved, self._wide


def count_footprint(
    make_model: Callable[[], nn.Module],
    make_optimizer: Callable[[nn.Module], torch.optim.Optimizer],
    kind: StepKind,
) -> Footprint:
    """Count two steps; the arguments are those of `count_steps`."""
    small, large = count_steps(make_model, make_optimizer, kind, COUNTED)
    if len(small.operations) != len(large.operations):
        # Some models make tensors at their first step that they keep from then on.
        again = (COUNTED[0], *COUNTED)
        _, small, large = count_steps(make_model, make_optimizer, kind, again)
    return Footprint(small, large)
