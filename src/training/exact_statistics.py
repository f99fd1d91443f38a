"""Exact statistics of batch norm before every validation: which images, and when they are taken.

`src/training/batch_norm.py` says what they are and why; it imports no Lightning, which takes its
time, as what is told of a model before anything trains needs it.
"""

from collections.abc import Container, Iterable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import FSDPStrategy

from src.data.image_set import ImageSet
from src.data.loader import Batch, BatchLoader
from src.training.batch_norm import images_for_statistics, take_statistics


def statistics_loader(train: ImageSet, wanted: int, at_a_time: int, seed: int) -> BatchLoader:
    """Return the images that the statistics are taken over, the same for every trial of a fold.

    They are not augmented, as those that are scored are not, and drawn as they come: a balanced
    sampling of the classes is for training. Nor are they worn where those that are scored are
    (`quick_validation.wear`): wear changes what is measured and nothing of the model, and where
    that was trained worn the two come to the same.

    Args:
        train: what is trained on.
        wanted: how many of them, see `images_for_statistics`.
        at_a_time: images that go through the model at a time.
        seed: the draw depends on it, and on how many images there are, alone.
    """
    count = images_for_statistics(wanted, len(train), at_a_time)
    # In the order of the rows, which a file that is mapped into memory is read fastest in.
    rows = np.sort(np.random.default_rng(seed).permutation(len(train))[:count])
    return BatchLoader(train.subset(rows), at_a_time, shuffle=False)


class ExactStatistics(pl.Callback):
    """Takes the statistics anew before every validation, for the weights as they are.

    They stay in the model: its running averages, which training goes on to move and never reads,
    are replaced. So what has been scored is what checkpoints hold, and with them predictions,
    ensembles and exports. Weights, and all that is drawn at random, are as they would be without.

    Where a run has several cards, each goes through all of the images and comes to the same
    statistics; nothing has to be put together.

    Args:
        batches: of training images, uint8 [B, 3, H, W] with labels.
        between: fewer of them, for scores that nothing is decided by; empty: none are taken there.
        decided_after: the epochs, from 1 on, whose scores decide; None: all.
    """

    def __init__(
        self,
        batches: Iterable[Batch],
        between: Iterable[Batch] = (),
        decided_after: Container[int] | None = None,
    ) -> None:
        self._batches = batches
        self._between = between
        self._decided_after = decided_after

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the statistics; the module is in evaluation mode, without gradients."""
        if trainer.sanity_checking:
            return
        strategy: Any = trainer.strategy
        # Sharded weights are gathered in the forward of what the strategy has wrapped.
        model: Any = strategy.model if isinstance(strategy, FSDPStrategy) else pl_module
        epoch, decided_after = trainer.current_epoch + 1, self._decided_after
        decides = decided_after is None or epoch in decided_after
        batches = self._batches if decides else self._between
        images = (strategy.batch_to_device(batch)[0] for batch in batches)
        # Norms that train in a model that does not would be compiled for these batches alone.
        compiled = pl_module.cfg.trainer.compile  # type: ignore[union-attr]
        as_written = torch.compiler.set_stance("force_eager") if compiled else nullcontext()
        with trainer.precision_plugin.forward_context(), as_written:
            take_statistics(model, images)
