"""How many epochs a trial trains under `quick_validation.seconds`: by its own speed, measured.

The length has to be known before training begins, as the learning rate follows it: a schedule that
is cut in the middle ends at a high rate, and its score says nothing of a configuration. So the
first fold is begun once and thrown away; every fold then trains from its own seed as if nothing had
been, for as many epochs as the time is enough for.

What is measured: batches behind the first few, in which kernels are chosen and memory is taken, and
the fastest scoring. The measuring itself is not counted, as its beginning takes longest in the
first trial of a process.
"""

import logging
import math
import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig

from doctune.trial import RunningTrial
from doctune.words import counted, duration
from src.before.trial_length import (
    MIN_STEPS,
    NOTE,
    SECONDS,
    decided_after,
    epochs_in_time,
    least_steps,
)
from src.data.image_set import ImageSet
from src.data.wear_presets import wear_of
from src.training.fit import fit
from src.trial.out_of_memory import Fitting

log = logging.getLogger(__name__)

# Batches that are not counted.
WARM_UP = 2
# Share of a trial's time after which enough batches are measured.
ENOUGH = 0.05


def epochs_of_trial(
    cfg: DictConfig, fitting: Fitting, trial: RunningTrial, train: ImageSet, scored: ImageSet
) -> int:
    """Return the epochs of each fold of a trial, and keep them with it.

    Args:
        cfg: the trial's config, with `quick_validation.seconds`.
        fitting: runs the measurement so that it fits into memory.
        trial: told of it; one that was interrupted goes on with the epochs that it began with.
        train: what the first fold trains on.
        scored: what it is scored on after each epoch.
    """
    quick = cfg.quick_validation
    noted = trial.noted(NOTE)
    if noted and noted["seconds"] == quick.seconds:
        return int(noted["epochs"])
    watch = fitting.run(lambda fitted: _measure(fitted, train, scored))
    steps = math.ceil(watch.batches_an_epoch / cfg.trainer.accumulate_grad_batches)
    wear = wear_of(cfg)
    # Pages as they are, which are scored at the end of a fold.
    once = 0.0 if wear is None else watch.scoring / wear.draws
    found = epochs_in_time(cfg, watch.epoch, steps, once)
    trial.note(
        NOTE,
        {
            "seconds": quick.seconds,
            "epochs": found.epochs,
            "an_epoch": round(watch.epoch, 4),
            "is_longer": found.is_longer,
        },
    )
    told = f"{duration(watch.epoch)} an epoch: {counted(found.epochs, 'epoch')} a fold"
    if found.is_longer:
        took = duration(quick.folds * (found.epochs * watch.epoch + once))
        least = f"the least (one, or {MIN_STEPS}={least_steps(cfg)})"
        log.warning("%s=%g: %s, %s, take %s", SECONDS, quick.seconds, told, least, took)
    else:
        log.info("%s=%g: %s", SECONDS, quick.seconds, told)
    return found.epochs


def _measure(cfg: DictConfig, train: ImageSet, scored: ImageSet) -> "Stopwatch":
    """Train a little, and return what was measured; the model is let go of."""
    watch = Stopwatch(ENOUGH * cfg.quick_validation.seconds)
    epochs = WARM_UP + 1  # one batch behind the others, where an epoch has no more
    fit(
        cfg,
        train,
        scored,
        max_epochs=epochs,
        seed=cfg.seed,
        output_dir=None,
        callbacks=[watch],
        # As after most epochs of the trial.
        decided_after=None if decided_after(cfg, epochs) is None else (),
    )
    return watch


class Stopwatch(pl.Callback):
    """Measures the batches and the scoring of a run, and ends it once it has seen enough.

    Args:
        enough: seconds of batches that are enough.
        clock: seconds since any time.
    """

    def __init__(self, enough: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._enough = enough
        self._clock = clock
        self._seen = self._pending = self._batches = 0
        self._seconds = self._since = 0.0
        self._scorings: list[float] = []
        self.batches_an_epoch = 0

    @property
    def scoring(self) -> float:
        """Return the seconds of what comes after an epoch: statistics and scores."""
        return min(self._scorings)

    @property
    def epoch(self) -> float:
        """Return the seconds of an epoch with its scoring."""
        return self._seconds / self._batches * self.batches_an_epoch + self.scoring

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock: the first batch may have to wait for its images."""
        self.batches_an_epoch = int(trainer.num_training_batches)
        self._since, self._pending = self._now(trainer), 0

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count a batch; a card is waited for only where a count begins or ends."""
        self._seen += 1
        self._pending += 1
        is_counted = self._seen > WARM_UP
        is_enough = is_counted and self._seconds + self._clock() - self._since >= self._enough
        if not (is_enough or self._seen == WARM_UP or trainer.is_last_batch):
            return
        now = self._now(trainer)
        if is_counted:
            self._seconds += now - self._since
            self._batches += self._pending
        self._since, self._pending = now, 0
        if is_enough:
            # What follows is scored as after any epoch.
            trainer.should_stop = True

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the time since the last batch."""
        if not trainer.sanity_checking:
            self._scorings.append(self._now(trainer) - self._since)

    def _now(self, trainer: pl.Trainer) -> float:
        kind = trainer.strategy.root_device.type
        if kind == "cuda":
            torch.cuda.synchronize()
        elif kind == "mps":
            torch.mps.synchronize()
        return self._clock()
