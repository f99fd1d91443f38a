"""How long a training step takes: every operation at the card's rate, or at its memory's.

The roofline model (Williams et al., CACM 2009), one operation after the other, as PyTorch runs
them. The two efficiencies were fitted to timm's published training benchmark (RTX 3090, mixed
precision, channels last; 15 models of 8 families at 224 to 384 px, from 116 to 2,732 images/s):
the estimate is within 17 % for all but MobileNetV3, which it takes for 30 % faster than it is.
Of six models on an H200 the card's own time is within 23 % (tests/hardware/test_recorded_runs.py).

Python gives its orders ahead of the card, so that a step takes as long as the slower of the two.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.hardware.config import GpuConfig
from src.hardware.footprint import Floats, Footprint
from src.hardware.memory import sharing

# Shares of the rates on the data sheet that training reaches.
COMPUTE = 0.85
BANDWIDTH = 0.6
# Seconds that a card takes for the smallest operation, whatever its data sheet says.
KERNEL = 1.5e-6
# Seconds of Python and PyTorch for an operation. It depends on the machine more than on the card:
# 17 to 25 us were measured beside an H200, 14 to 29 beside an H100 (docs/card.md).
DISPATCH = 20e-6


# So little of another trial is not worth one.
ROUNDING = 0.3
# A trial trains for so much of its time; it also starts folds, scores, and writes.
TRAINS = 0.8


def keep_busy(footprint: Footprint, batch_size: int, gpu: GpuConfig) -> int:
    """Return how many trials at a time should keep a card of this profile busy, by the estimate."""
    _, moved, _ = footprint.work(batch_size)
    computes = card_seconds(footprint, batch_size, gpu)
    alone = max(computes, DISPATCH * np.count_nonzero(moved)) / TRAINS
    return max(1, math.ceil(alone / computes - ROUNDING))


@dataclass(frozen=True)
class StepTime:
    """Seconds for a batch: in training, and forward alone for validation."""

    train: float
    forward: float


def step_time(footprint: Footprint, batch_size: int, gpu: GpuConfig) -> StepTime:
    """Estimate the time of a step on a card of this profile.

    Trials that share a card take turns on it; only where the card would wait for Python do they
    not hold each other up.
    """
    flops, moved, wide = footprint.work(batch_size)
    seconds = _seconds(flops, moved, wide, gpu)

    def of(first: int) -> float:
        card = float(seconds[:first].sum())
        if not gpu.memory_gb:
            return card
        return max(card * sharing(gpu), DISPATCH * np.count_nonzero(moved[:first]))

    return StepTime(train=of(len(seconds)), forward=of(footprint.small.forward))


def card_seconds(footprint: Footprint, batch_size: int, gpu: GpuConfig) -> float:
    """Estimate how long a card computes in a training step, without its waits for Python."""
    return float(_seconds(*footprint.work(batch_size), gpu).sum())


def _seconds(flops: Floats, moved: Floats, wide: npt.NDArray[np.bool_], gpu: GpuConfig) -> Floats:
    """Return how long the card computes each operation."""
    rate = COMPUTE * 1e12 * np.where(wide, gpu.tflops_float32, gpu.tflops)
    found: Floats = np.maximum(flops / rate, moved / (BANDWIDTH * 1e9 * gpu.bandwidth_gb))
    return np.maximum(found, KERNEL * (moved > 0)) if gpu.memory_gb else found
