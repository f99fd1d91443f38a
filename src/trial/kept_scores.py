"""The Lightning callback that keeps a fold's predictions of the images held out from it."""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from src.trial.out_of_fold import Scores


class KeepScores(pl.Callback):
    """Keeps what the model says of the validation images after the latest epoch, in float32."""

    def __init__(self) -> None:
        self._batches: list[Tensor] = []

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the epoch before."""
        self._batches.clear()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take the scores [B, C] that the module has returned."""
        if isinstance(outputs, Tensor):
            self._batches.append(outputs.detach())

    def scores(self) -> Scores:
        """Return log-probabilities, float32 [N, C], in the order of the validation images."""
        found: Scores = torch.cat(self._batches).float().log_softmax(1).cpu().numpy()
        return found
