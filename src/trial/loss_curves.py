"""Training and validation loss after each epoch of each fold, for the report's curves."""

import math

import pytorch_lightning as pl

from doctune.trial import RunningTrial
from src.trial.finished_folds import LOSSES

# Kind of loss -> what the module logs it as.
LOGGED = {"train": "train/loss_epoch", "val": "val/loss"}
# More digits would only make the study larger.
DIGITS = 4


class LossCurves(pl.Callback):
    """Collects the losses of one fold after another.

    The training loss is the mean over an epoch's batches while the weights still change, of what
    is trained on: augmented, mixed, with smoothed labels and weighted classes.

    Args:
        trial: what is trained; keeps `{"train": [folds][epochs], "val": [folds][epochs]}`, None
            where a loss was infinite or no number.
        folds: that it has taken over from an interrupted one.
    """

    def __init__(self, trial: RunningTrial, folds: int = 0) -> None:
        self._trial = trial
        noted = trial.noted(LOSSES) or {}
        self._curves: dict[str, list[list[float | None]]] = {}
        for kind in LOGGED:
            kept = list(noted.get(kind, []))[:folds]
            # A trial of an earlier version has handed on none.
            self._curves[kind] = kept + [[] for _ in range(folds - len(kept))]

    def begin_fold(self, fold: int) -> None:
        """Collect fold number `fold` from now on, anew where it is trained again."""
        for curves in self._curves.values():
            curves[fold:] = [[]]

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the losses of an epoch."""
        for kind, name in LOGGED.items():
            loss = float(trainer.callback_metrics.get(name, math.nan))
            # JSON has no NaN; left out, it would move later epochs to the left.
            self._curves[kind][-1].append(round(loss, DIGITS) if math.isfinite(loss) else None)

    def note(self) -> None:
        """Keep the losses with the trial."""
        self._trial.note(LOSSES, self._curves)
