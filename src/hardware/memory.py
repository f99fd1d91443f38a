"""Whether a training step fits into a card: what was counted, and what no count sees."""

from typing import TYPE_CHECKING

from src.hardware.config import AUTO, GpuConfig

if TYPE_CHECKING:  # which brings torch along
    from src.hardware.footprint import Footprint

GIB = 2**30

# The process's CUDA context with its kernels: 723 to 800 MiB were reported for PyTorch 1.4
# (discuss.pytorch.org/t/73021, /t/81330), before kernels were loaded lazily (CUDA 11.7). Not
# measured here.
CONTEXT = 0.5 * GIB
# cuBLAS takes 8.1 MiB (discuss.pytorch.org/t/178671), 32 on Hopper; the rest is left to cuDNN's
# convolutions. Not measured here.
WORKSPACES = 0.15 * GIB
# What the allocator cannot use between its blocks, as a share of the peak. Not measured here.
FRAGMENTATION = 0.04


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
    return int(footprint.peak(batch_size) + WORKSPACES)


def needed(footprint: "Footprint", batch_size: int) -> int:
    """Return the bytes that a training process takes of its card."""
    return int(allocated(footprint, batch_size) * (1 + FRAGMENTATION) + CONTEXT)


def largest_batch(footprint: "Footprint", limit: float, at_most: int) -> int:
    """Return the most images, up to `at_most`, whose step needs no more than `limit` bytes.

    0 where not even one fits.
    """
    fitting, too_many = 0, at_most + 1
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        if needed(footprint, middle) <= limit:
            fitting = middle
        else:
            too_many = middle
    return fitting
