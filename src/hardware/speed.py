"""How long a training step takes: every operation at the card's rate, or at its memory's.

The roofline model (Williams et al., CACM 2009), one operation after the other, as PyTorch runs
them. The two efficiencies were fitted to timm's published training benchmark (RTX 3090, mixed
precision, channels last; 15 models of 8 families at 224 to 384 px, from 116 to 2,732 images/s):
the estimate is within 17 % for all but MobileNetV3, which it takes for 30 % faster than it is.
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
# Seconds of Python and PyTorch for an operation: below it the card waits. Not measured here.
DISPATCH = 8e-6


# So little of another trial is not worth one.
ROUNDING = 0.3
# A trial trains for so much of its time; it also starts folds, scores, and writes.
TRAINS = 0.8


def keep_busy(footprint: Footprint, batch_size: int, gpu: GpuConfig) -> int:
    """Return how many trials at a time should keep a card of this profile busy, by the estimate."""
    flops, moved, wide = footprint.work(batch_size)
    computes = _seconds(flops, moved, wide, gpu)
    alone = np.maximum(computes, DISPATCH).sum() / TRAINS
    return max(1, math.ceil(float(alone / computes.sum()) - ROUNDING))


@dataclass(frozen=True)
class StepTime:
    """Seconds for a batch: in training, and forward alone for validation."""

    train: float
    forward: float


def step_time(footprint: Footprint, batch_size: int, gpu: GpuConfig) -> StepTime:
    """Estimate the time of a step on a card of this profile.

    Trials that share a card take turns on it: each operation waits for those of the others, and
    only where the card would wait for Python do they not hold each other up.
    """
    flops, moved, wide = footprint.work(batch_size)
    seconds = _seconds(flops, moved, wide, gpu)
    if gpu.memory_gb:
        seconds = np.maximum(seconds * sharing(gpu), DISPATCH)
    return StepTime(
        train=float(seconds.sum()), forward=float(seconds[: footprint.small.forward].sum())
    )


def _seconds(flops: Floats, moved: Floats, wide: npt.NDArray[np.bool_], gpu: GpuConfig) -> Floats:
    """Return how long the card computes each operation."""
    rate = COMPUTE * 1e12 * np.where(wide, gpu.tflops_float32, gpu.tflops)
    found: Floats = np.maximum(flops / rate, moved / (BANDWIDTH * 1e9 * gpu.bandwidth_gb))
    return found
