"""Predicted against real memory of training steps on this machine's card, and their speed:

python -m tests.benchmarks.memory

Trains a few steps of each combination through the training room, as a trial does, and compares
`torch.cuda.max_memory_allocated` with what `src.plan` counts on. A row is printed as soon as it is
measured. Without a card it says so.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pynvml
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from pytorch_lightning.utilities.memory import garbage_collection_cuda
from rich.console import Console
from torch.profiler import ProfilerActivity, profile

from src.before import config as config
from src.data.image_set import ON_DEVICE, ImageSet
from src.hardware import memory
from src.hardware.memory import GIB
from src.hardware.speed import step_time
from src.training.fit import fit
from src.training.forecast import footprint_of
from src.trial import run as run  # registers the resolvers of the profiles
from tests.conftest import CONF

CLASSES, STEPS = 12, 8
PROMISED = 0.03
# The first steps choose kernels.
WARM_UP, PROFILED = 3, 2


@dataclass(frozen=True)
class Combination:
    """What a training step's memory and time are predicted from."""

    model: str
    side: int
    batch: int
    precision: str


# The first eight are those that were measured on an H100 first; then other families and sizes.
COMBINATIONS = tuple(
    Combination(*each)
    for each in (
        ("efficientnet_b0", 224, 64, "16-mixed"),
        ("efficientnet_b3", 320, 48, "16-mixed"),
        ("convnext_tiny", 224, 64, "16-mixed"),
        ("resnet50", 224, 64, "16-mixed"),
        ("swin_tiny_patch4_window7_224", 224, 64, "16-mixed"),
        ("convnext_base", 320, 24, "bf16-mixed"),
        ("efficientnet_b3", 384, 32, "bf16-mixed"),
        ("convnext_base", 224, 16, "32-true"),
        ("resnet50", 224, 64, "bf16-mixed"),
        ("efficientnet_b0", 224, 256, "bf16-mixed"),
        ("vit_base_patch16_224", 224, 64, "16-mixed"),
        ("convnext_tiny", 384, 128, "bf16-mixed"),
        ("swin_base_patch4_window7_224", 224, 48, "bf16-mixed"),
        ("tf_efficientnet_lite0", 224, 64, "bf16-mixed"),
        ("resnet50", 224, 64, "32-true"),
        ("efficientnet_b3", 224, 32, "32-true"),
        ("swin_base_patch4_window7_224", 224, 16, "16-mixed"),
        ("convnext_base", 224, 16, "16-mixed"),
    )
)


@dataclass(frozen=True)
class Counted:
    """What is predicted of a combination."""

    # Bytes of PyTorch's allocator.
    allocated: int
    seconds: float
    # Sizes and sums that a calibration starts from.
    parts: dict[str, float]


def count(each: Combination, on_card: bool = True) -> Counted:
    """Count a step of a combination; takes seconds, and no card."""
    cfg = composed(each, on_card)
    footprint = footprint_of(cfg, CLASSES)
    flops, moved, wide = footprint.work(each.batch)
    small = footprint.small
    parts = {
        "peak": footprint.peak(each.batch),
        "saved": footprint.saved(each.batch),
        "weights": small.weights,
        "gradients": small.gradients,
        "optimizer": small.optimizer,
        "operations": len(flops),
        "flops": float(flops[~wide].sum()),
        "flops float32": float(flops[wide].sum()),
        "moved": float(moved.sum()),
    }
    seconds = step_time(footprint, each.batch, cfg.gpu).train
    return Counted(memory.allocated(footprint, each.batch), seconds, parts)


@dataclass
class Trained:
    """What is measured of a combination; sizes in bytes, 0 without a card."""

    # The most of PyTorch's allocator: in use, asked for, and taken from the card; the images to
    # train on and to score, which lie there where they are few, are no part of the first.
    allocated: int = 0
    requested: int = 0
    reserved: int = 0
    # Of the card, beside what PyTorch's allocator has taken.
    beside: int = 0
    # A step, and the first one.
    seconds: float = 0.0
    first: float = 0.0
    images: int = 0
    # What was in use before.
    before: int = 0
    # [name, microseconds a step, calls a step], the longest first.
    kernels: list[list[Any]] = field(default_factory=list)
    # What was allocated and freed in the steps after the timed ones, and the bytes in use before.
    trace: list[dict[str, Any]] = field(default_factory=list)
    held: int = 0


class _Watch(pl.Callback):
    """Times the steps, then the kernels of a few more, and reads the memory before these."""

    def __init__(self, found: Trained) -> None:
        self._found, self._step = found, 0

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if self._step in (0, WARM_UP, WARM_UP + STEPS):
            wait()
            self._began = time.perf_counter()
        if self._step == WARM_UP + STEPS and torch.cuda.is_available():
            self._read_memory()
            # Only now, as it takes time.
            torch.cuda.memory._record_memory_history(context=None, max_entries=400_000)
            self._profiler = profile(activities=[ProfilerActivity.CUDA])
            self._profiler.start()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self._step += 1
        if self._step == 1:
            wait()
            self._found.first = time.perf_counter() - self._began
        if self._step == WARM_UP + STEPS:
            wait()
            self._found.seconds = (time.perf_counter() - self._began) / STEPS
        if self._step == WARM_UP + STEPS + PROFILED and torch.cuda.is_available():
            wait()
            self._profiler.stop()
            self._found.kernels = kernels(self._profiler)
            self._found.trace = torch.cuda.memory._snapshot()["device_traces"][0]
            torch.cuda.memory._record_memory_history(enabled=None)

    def _read_memory(self) -> None:
        stats = torch.cuda.memory_stats()
        self._found.allocated = stats["allocated_bytes.all.peak"] - self._found.images
        self._found.requested = stats["requested_bytes.all.peak"]
        self._found.reserved = stats["reserved_bytes.all.peak"]
        self._found.beside = context()
        self._found.held = stats["allocated_bytes.all.current"]


def kernels(profiler: Any) -> list[list[Any]]:
    """Return [name, microseconds a step, calls a step] of the longest."""
    found = [
        [event.key[:120], event.self_device_time_total / PROFILED, event.count / PROFILED]
        for event in profiler.key_averages()
        if event.self_device_time_total
    ]
    return sorted(found, key=lambda entry: -entry[1])


def train(each: Combination) -> Trained:
    """Train a few steps of a combination, on the card if there is one."""
    on_card = torch.cuda.is_available()
    cfg = composed(each, on_card)
    images = random_images(each.side, each.batch * (WARM_UP + STEPS + PROFILED))
    found = Trained()
    # As trials do.
    torch.set_float32_matmul_precision("high")
    if on_card:
        # What the last one left in cycles would count as this one's.
        garbage_collection_cuda()
        torch.cuda.reset_peak_memory_stats()
        found.before = torch.cuda.memory_allocated()
    few = images.subset(np.arange(each.batch))
    if on_card:
        most = ON_DEVICE * torch.cuda.get_device_properties(0).total_memory
        sizes = [len(part) * 3 * each.side**2 for part in (images, few)]
        found.images = sum(size for size in sizes if size <= most)
    fit(cfg, images, few, max_epochs=1, seed=0, output_dir=None, callbacks=[_Watch(found)])
    return found


def main() -> None:
    """Measure every combination that fits; print each as it comes, and the largest error."""
    console = Console(soft_wrap=True, highlight=False)
    if not torch.cuda.is_available():
        console.print("no CUDA device: predicted memory cannot be compared with real memory here")
        return
    console.print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    errors = []
    for each in COMBINATIONS:
        predicted, real = count(each), train(each)
        errors.append(predicted.allocated / real.allocated - 1)
        console.print(
            f"{each.model} {each.side} px, batch {each.batch}, {each.precision}: predicted "
            f"{predicted.allocated / GIB:.2f} GB, measured {real.allocated / GIB:.2f} GB "
            f"({errors[-1]:+.1%}); a step predicted {1000 * predicted.seconds:.1f} ms, measured "
            f"{1000 * real.seconds:.1f} ms, the first {real.first:.1f} s; context and what is no "
            f"tensor {real.beside / GIB:.2f} GB, allowed for {memory.CONTEXT / GIB:.2f} GB"
        )
    console.print(f"errors from {min(errors):+.1%} to {max(errors):+.1%}, promised {PROMISED:.0%}")


def composed(each: Combination, on_card: bool = True) -> Any:
    """Compose the config of a combination on this machine's profile."""
    with initialize_config_dir(CONF):
        return compose(
            "train",
            [
                *(f"model.name={each.model}", f"data.img_size={each.side}"),
                *(f"data.batch_size={each.batch}", f"trainer.precision={each.precision}"),
                *("gpu.max_batch_size=4096", "logger=none", f"gpu={'auto' if on_card else 'cpu'}"),
            ],
        )


def random_images(side: int, count: int) -> ImageSet:
    """Return noise with labels in turn."""
    pixels = np.random.default_rng(0).integers(0, 255, (count, side, side, 3), dtype=np.uint8)
    names = tuple(str(number) for number in range(CLASSES))
    return ImageSet(pixels, np.arange(count) % CLASSES, names)


def context() -> int:
    """Return the bytes of the card that processes take beside this one's PyTorch allocator.

    Without what the driver keeps for itself, which CUDA does not count as the card's memory.
    """
    pynvml.nvmlInit()
    card = pynvml.nvmlDeviceGetHandleByIndex(0)
    used = int(pynvml.nvmlDeviceGetMemoryInfo(card, version=pynvml.nvmlMemory_v2).used)
    return used - torch.cuda.memory_reserved()


def wait() -> None:
    """Wait until the card has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
