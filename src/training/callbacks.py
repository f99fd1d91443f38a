"""The callback that clips gradients by their norm, and logs the norm before clipping.

The progress of a plain run: one line an epoch, in a terminal and in a log alike.
"""

import time
from typing import Any

import pytorch_lightning as pl
from rich.console import Console

from doctune.errors import UserError
from doctune.words import clock
from src.training.distribution import clip


class GradientClipping(pl.Callback):
    """Scales the gradients down to `max_norm` (Pascanu et al., ICML 2013, arXiv 1211.5063).

    `on_before_optimizer_step` runs after gradients are unscaled, so mixed precision is safe.
    """

    def __init__(self, max_norm: float) -> None:
        if not max_norm > 0:
            raise UserError(
                f"callbacks.gradient_clip_norm={max_norm}: must be above 0; null switches it off"
            )
        self.max_norm = max_norm

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any
    ) -> None:
        """Clip; log `train/grad_norm` as often as the loss."""
        norm = clip(trainer, optimizer, self.max_norm)
        every = getattr(trainer, "log_every_n_steps", 1)
        if trainer.loggers and (trainer.global_step + 1) % every == 0:
            pl_module.log("train/grad_norm", norm)


class EpochLines(pl.Callback):
    """Prints a line after every epoch.

    As `epoch  3/15  validation loss 1.234  macro-F1 0.7120  0:12 left`.
    """

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._console, self._started = Console(), time.monotonic()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the epoch's metrics and the time left."""
        if not trainer.is_global_zero or trainer.sanity_checking:
            return
        if not trainer.fit_loop.epoch_loop.batch_progress.current.ready:
            return
        done, total = trainer.current_epoch + 1, trainer.max_epochs or 1
        left = (time.monotonic() - self._started) / done * (total - done)
        metrics = trainer.callback_metrics
        self._console.print(
            f"epoch {done:>{len(str(total))}}/{total}  validation loss "
            f"{float(metrics['val/loss']):.3f}  macro-F1 {float(metrics['val/f1']):.4f}  "
            f"{clock(left)} left",
            highlight=False,
        )
