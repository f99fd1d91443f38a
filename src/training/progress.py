"""The progress of a plain run: one line an epoch, in a terminal and in a log alike."""

import time

import pytorch_lightning as pl
from rich.console import Console


class EpochLines(pl.Callback):
    """Prints `epoch 3/15  loss 1.234  macro-F1 0.712  0:12 left` after every epoch."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._started = time.monotonic()

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
            f"{int(left // 60)}:{int(left % 60):02d} left",
            highlight=False,
        )
