"""A batch that does not fit, for real: what the trial does, and what comes of it.

PyTorch is allowed a share of the card alone, so that it runs out soon; nothing foresees it, as the
profile says that all of the card is there.
"""

import tempfile
import time
from collections.abc import Iterator
from typing import Any

import torch
from hydra import compose, initialize_config_dir

from src.training.fit import FitResult, fit
from src.trial import run as run
from src.trial.out_of_memory import Fitting
from tests.benchmarks.card.parts import Row
from tests.benchmarks.memory import CLASSES, random_images
from tests.conftest import CONF

SHARE = 0.04


def rows(tiny: bool, limit: float) -> Iterator[Row]:
    """Yield what a model with batch norm did, and one without."""
    side, batch = (32, 8) if tiny else (224, 256)
    models = ("test_efficientnet",) if tiny else ("efficientnet_b0", "convnext_tiny")
    if not tiny:
        torch.cuda.set_per_process_memory_fraction(SHARE)
    images = random_images(side, 2 * batch)
    for name in models:
        with tempfile.TemporaryDirectory() as folder, initialize_config_dir(CONF):
            cfg = compose(
                "train",
                [
                    *(f"gpu={'cpu' if tiny else 'auto'}", f"model.name={name}", "logger=none"),
                    *(f"data.img_size={side}", f"data.batch_size={batch}"),
                    *("gpu.max_batch_size=4096", f"paths.multirun_dir={folder}"),
                ],
            )
            noted: dict[str, Any] = {}
            fitting = Fitting(cfg, CLASSES, noted.__setitem__)
            attempts = 0

            def train(fitted: Any) -> FitResult:
                nonlocal attempts
                attempts += 1
                if tiny and attempts == 1:
                    raise torch.OutOfMemoryError("made up, as there is no card")
                return fit(fitted, images, images, max_epochs=1, seed=0, output_dir=None)

            began = time.monotonic()
            result = fitting.fit(train)
            yield {
                "model": name,
                "batch": batch,
                "ran out with": ", ".join(noted.get("out_of_memory", [])) or "never",
                "images at a time": noted.get("micro_batch", batch),
                "attempts": attempts,
                "seconds": time.monotonic() - began,
                "validation loss": float(result.trainer.callback_metrics["val/loss"]),
            }
