"""Predicted against real memory of training steps on this machine's card, and their speed:

python -m tests.benchmarks.memory

Trains a few steps of each combination through the training room, as a trial does, and compares
`torch.cuda.max_memory_allocated` with what `src.plan` counts on. Without a card it says so.
"""

import time
from typing import Any

import numpy as np
import pynvml
import torch
from hydra import compose, initialize_config_dir
from rich.console import Console
from rich.table import Table

from src.data.image_set import ImageSet
from src.hardware import memory
from src.hardware import profile as profile
from src.hardware.speed import step_time
from src.training.fit import fit
from src.trial import config as config
from src.trial.forecast import footprint_of
from tests.conftest import CONF

# Model, image size, batch size, precision: three families, from 1 to about 20 GB.
COMBINATIONS = [
    ("efficientnet_b0", 224, 64, "16-mixed"),
    ("efficientnet_b3", 224, 32, "16-mixed"),
    ("efficientnet_b3", 320, 48, "16-mixed"),
    ("efficientnet_b3", 384, 32, "bf16-mixed"),
    ("efficientnet_b3", 224, 32, "32-true"),
    ("convnext_tiny", 224, 64, "16-mixed"),
    ("convnext_tiny", 384, 32, "bf16-mixed"),
    ("convnext_base", 224, 16, "16-mixed"),
    ("convnext_base", 320, 24, "bf16-mixed"),
    ("convnext_base", 224, 16, "32-true"),
    ("swin_tiny_patch4_window7_224", 224, 64, "16-mixed"),
    ("swin_base_patch4_window7_224", 224, 16, "16-mixed"),
    ("swin_base_patch4_window7_224", 224, 48, "bf16-mixed"),
    ("resnet50", 224, 64, "16-mixed"),
    ("vit_base_patch16_224", 224, 64, "16-mixed"),
]
CLASSES, STEPS = 12, 8
PROMISED = 0.10


def main() -> None:
    """Measure every combination that fits, and print the table."""
    console = Console()
    if not torch.cuda.is_available():
        console.print("no CUDA device: predicted memory cannot be compared with real memory here")
        return
    card = torch.cuda.get_device_name()
    table = Table(title=f"{card}, torch {torch.__version__}", box=None)
    for column in ("model", "px", "batch", "precision", "predicted", "measured", "error", "speed"):
        table.add_column(column, justify="left" if column == "model" else "right")
    errors = []
    for combination in COMBINATIONS:
        row, error = measure(*combination)
        table.add_row(*row)
        errors.append(abs(error))
    console.print(table)
    console.print(
        f"largest error {max(errors):.1%}, promised {PROMISED:.0%}; "
        f"context and what is no tensor: {context() / memory.GIB:.2f} GB, allowed for are "
        f"{memory.CONTEXT / memory.GIB:.2f} GB; speed is predicted / measured time of a step"
    )


def measure(name: str, side: int, batch: int, precision: str) -> tuple[list[str], float]:
    """Train a few steps; return the row of the table and the error of the memory."""
    cfg = composed(name, side, batch, precision)
    footprint = footprint_of(cfg, CLASSES)
    predicted = memory.allocated(footprint, batch)
    images = random_images(side, batch * STEPS)
    few = images.subset(np.arange(batch))
    fit(cfg, few, few, max_epochs=1, seed=0, output_dir=None)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    seconds = []
    for epochs in (1, 3):
        torch.cuda.synchronize()
        started = time.perf_counter()
        fit(cfg, images, few, max_epochs=epochs, seed=0, output_dir=None)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    measured = torch.cuda.max_memory_allocated()
    # Two epochs more, without what starting costs.
    step = (seconds[1] - seconds[0]) / (2 * STEPS)
    error = predicted / measured - 1
    speed = step_time(footprint, batch, cfg.gpu).train / step
    row = [name, str(side), str(batch), precision]
    row += [f"{size / memory.GIB:.2f} GB" for size in (predicted, measured)]
    return [*row, f"{error:+.1%}", f"{speed:.2f}"], error


def composed(name: str, side: int, batch: int, precision: str) -> Any:
    """Compose the config of a combination on this machine's profile."""
    with initialize_config_dir(CONF):
        return compose(
            "train",
            [
                *(f"model.name={name}", f"data.img_size={side}", f"data.batch_size={batch}"),
                *(f"trainer.precision={precision}", "gpu.max_batch_size=4096", "logger=none"),
            ],
        )


def random_images(side: int, count: int) -> ImageSet:
    """Return noise with labels in turn."""
    pixels = np.random.default_rng(0).integers(0, 255, (count, side, side, 3), dtype=np.uint8)
    names = tuple(str(number) for number in range(CLASSES))
    return ImageSet(pixels, np.arange(count) % CLASSES, names)


def context() -> int:
    """Return the bytes of the card that this process takes beside PyTorch's allocator."""
    pynvml.nvmlInit()
    used = int(pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByIndex(0)).used)
    return used - torch.cuda.memory_reserved()


if __name__ == "__main__":
    main()
