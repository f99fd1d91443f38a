"""The callback that clips gradients by their norm, and logs the norm before clipping."""

from typing import Any

import pytorch_lightning as pl

from src.errors import UserError
from src.training.several_cards import clip


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
