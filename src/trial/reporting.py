"""The Lightning callback that reports every epoch to the study and ends hopeless trials."""

import math
from collections.abc import Callable

import pytorch_lightning as pl

from doctune.trial import RunningTrial
from src.before.trial_length import rungs
from src.trial.running_score import RunningScore, share_after


class ReportToStudy(pl.Callback):
    """Reports the first objective after every epoch of one fold, and asks whether to go on.

    The end of a fold is a rung: there the value is the exact mean of whole folds. A single split
    has one within it, see `rungs`.

    Args:
        trial: the trial, found through the study's storage.
        score: the trial's running score over all folds.
        fold: index of this fold, of `folds`.
        epochs: epochs of a fold.
        shares: at how many equal shares of a fold trials are compared.
        measure: returns the fold's score after an epoch.
        reported: epochs of this fold that the study has from an attempt that was broken off.
    """

    def __init__(
        self,
        trial: RunningTrial,
        score: RunningScore,
        fold: int,
        folds: int,
        epochs: int,
        shares: int,
        measure: Callable[[pl.Trainer], float],
        reported: int = 0,
    ) -> None:
        self._measure = measure
        self._trial = trial
        self._score = score
        self._fold = fold
        self._folds = folds
        self._epochs = epochs
        self._shares = shares
        self._reported = reported

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report; raise when the trial should end.

        Raises:
            optuna.TrialPruned: the pruner or the time limit says so.
            FloatingPointError: the loss is not a number any more.
        """
        if trainer.sanity_checking:
            return
        if math.isnan(float(trainer.callback_metrics["val/loss"])):
            where = f"fold {self._fold + 1}, epoch {trainer.current_epoch + 1}"
            raise FloatingPointError(
                f"the loss is NaN ({where}); a lower learning rate, gradient clipping or 32-bit "
                "precision may help"
            )
        estimate = self._score.add(self._measure(trainer))
        epoch = trainer.current_epoch
        progress = f"fold {self._fold + 1}/{self._folds}, epoch {epoch + 1}/{self._epochs}"
        share = share_after(epoch, self._epochs, self._shares)
        if epoch >= self._reported and share is not None:
            is_rung = share + 1 in rungs(self._folds, self._shares)
            step = self._fold * self._shares + share
            self._trial.report(estimate, step, progress, rung=is_rung)
        is_last = self._fold == self._folds - 1 and epoch == self._epochs - 1
        if not is_last:
            self._trial.raise_if_over()
