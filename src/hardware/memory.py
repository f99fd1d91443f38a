"""Whether a training step fits into a card: what was counted, and what no count sees.

What no count sees was measured on an H200 with torch 2.11 and cuDNN 9.19 (docs/card.md); the rows
are in tests/hardware/test_recorded_runs.py.
"""

from bisect import bisect_right
from typing import TYPE_CHECKING

from src.hardware.config import AUTO, GpuConfig

if TYPE_CHECKING:  # which brings torch along
    from src.hardware.footprint import Footprint

GIB = 2**30

# What a process takes of its card beside PyTorch's allocator, as CUDA counts the card's memory:
# 0.60 GB before it has trained, 0.75 to 0.77 with the kernels that a training loads.
CONTEXT = 0.77 * GIB
# cuBLAS keeps 32 MiB on Hopper for forward's thread and 32 for backward's (8.1 each elsewhere:
# discuss.pytorch.org/t/178671). 64.6 to 66 MiB lay there beside what was counted.
WORKSPACES = 66 * 2**20
# A block that is up to 1 MiB larger than what was asked for is not divided, so tensors take more
# than their size: 0.4 to 1 % of the peak.
ROUNDING = 0.01
# What the allocator has taken of the card between its blocks: 2 to 6 % of them for ConvNeXt, Swin
# and ResNet, 7 and 13 for EfficientNets, part of which it gives back where the card is full.
FRAGMENTATION = 0.06


def available(gpu: GpuConfig) -> float:
    """Return the bytes of a card that one trial may take; infinite for a CPU profile."""
    if not gpu.memory_gb:
        return float("inf")
    return (gpu.usable_gb or gpu.memory_gb) * GIB / sharing(gpu)


def sharing(gpu: GpuConfig) -> int:
    """Return how many trials a card's memory is shared out among.

    With `auto` a trial may have all of it, and as many run as fit.
    """
    return 1 if gpu.trials_per_device == AUTO else int(gpu.trials_per_device)


def allocated(footprint: "Footprint", batch_size: int) -> int:
    """Return what `torch.cuda.max_memory_allocated` should say, in bytes."""
    return int(footprint.peak(batch_size) * (1 + ROUNDING) + WORKSPACES)


def needed(footprint: "Footprint", batch_size: int) -> int:
    """Return the bytes that a training process takes of its card."""
    return int(allocated(footprint, batch_size) * (1 + FRAGMENTATION) + CONTEXT)


def largest_batch(footprint: "Footprint", limit: float, at_most: int) -> int:
    """Return the most images, up to `at_most`, whose step needs no more than `limit` bytes.

    0 where not even one fits.
    """
    return bisect_right(range(1, at_most + 1), limit, key=lambda images: needed(footprint, images))
