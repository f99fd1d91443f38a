"""The LightningModule: a timm model with its losses, metrics, optimizer and schedule."""

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.aggregation import CatMetric, MeanMetric
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
)

from src.data.augment import Augment, Normalize
from src.data.image_set import Indices
from src.training.backbone import channels_last, create_backbone
from src.training.card_rules import is_sharded
from src.training.depthwise import use_own_kernels
from src.training.loss import TrainingLoss, mixup
from src.training.optimizer import build_optimizer, learning_rate_factor, undecayed

Batch = tuple[Tensor, Tensor]


class Classifier(pl.LightningModule):
    """Takes uint8 images as they were decoded; all else happens on the device.

    Logged: `train/loss`, `train/lr`; `train/loss_epoch`, the mean of an epoch's batches;
    `val/loss`, `val/f1` (macro) and `val/accuracy` for every epoch; the same under `test/`, where
    `counts` is the confusion matrix, int64 [C, C], and `tested` the scores float32 [N, C] with the
    labels int64 [N], in any order.

    Args:
        cfg: the whole config.
        classes: names of the classes, in the order of the labels.
        steps_per_epoch: optimizer steps.
        max_epochs: length of the schedule.
        labels: int64 [N] of what is trained on, for the weights of the classes.
    """

    def __init__(
        self,
        cfg: DictConfig,
        classes: Sequence[str],
        steps_per_epoch: int,
        max_epochs: int,
        labels: Indices | None = None,
    ) -> None:
        super().__init__()
        self.cfg = cfg
        self.classes = tuple(classes)
        self._micro_batch: int | None = cfg.trainer.micro_batch_size
        # Fewer images are filled up to so many before they are scored, so that all batches have
        # one shape; None: they are scored as they are.
        self.scored_at_a_time: int | None = None
        self.model = create_backbone(cfg.model, len(classes), cfg.data.img_size)
        if cfg.trainer.channels_last:
            channels_last(self.model)
        if cfg.trainer.depthwise == "torch":
            use_own_kernels(self.model)
        if cfg.trainer.compile:
            # What earlier models of this process left counts against a limit of recompilations.
            torch.compiler.reset()
            self.model.compile()
        # Sharded weights have no shape that would tell.
        self._undecayed = undecayed(self.model) if is_sharded(cfg) else None
        self.normalize = Normalize(list(cfg.augment.mean), list(cfg.augment.std))
        self.augment = Augment(cfg.augment)
        self._mixup_alpha = float(cfg.augment.mixup_alpha)
        self.train_criterion = TrainingLoss(cfg.loss, len(classes), labels)
        # Of each image: without its check of values, torchmetrics' mean leaves weights out.
        self.criterion = nn.CrossEntropyLoss(reduction="none")
        self._factor = learning_rate_factor(cfg.scheduler, steps_per_epoch, max_epochs)
        self.val_metrics = self._make_metrics("val/")
        self.test_metrics = self._make_metrics("test/")
        self.confusion = MulticlassConfusionMatrix(len(classes), validate_args=False)
        self._tested = CatMetric(nan_strategy="disable")
        # Losses of the batches since the last validation, on the device, and how many.
        self._losses: Tensor | float = 0.0
        self._batches = 0

    def _make_metrics(self, prefix: str) -> MetricCollection:
        count = len(self.classes)
        # Checks of values are off: each would wait for the device at every batch.
        return MetricCollection(
            {
                "loss": MeanMetric(nan_strategy="disable"),
                "f1": MulticlassF1Score(count, average="macro", validate_args=False),
                "accuracy": MulticlassAccuracy(count, average="micro", validate_args=False),
            },
            prefix=prefix,
            compute_groups=False,
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores [B, C] of uint8 images [B, 3, H, W]."""
        scores: Tensor = self.model(self.normalize(images))
        return scores

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch, augmented and mixed."""
        images, targets = self._augmented(batch)
        if self._micro_batch is None:
            loss: Tensor = self.train_criterion(self.model(images), targets)
            loss = loss * self._share_of_cards(targets)
        else:
            loss = self._in_pieces(images, targets, batch_idx, self._micro_batch)
        self._losses = self._losses + loss.detach()
        self._batches += 1
        # Lightning writes what is logged at the last of every n steps, and drops the rest.
        step = self.global_step + 1
        if self.trainer.loggers and step % self._log_every == 0:
            self.log("train/loss", loss.detach(), sync_dist=self.trainer.world_size > 1)
            self.log("train/lr", self._learning_rate())
        # Lightning divides by what is accumulated elsewhere.
        usual, here = self.trainer.accumulate_grad_batches, self._accumulated(batch_idx)
        return loss if here == usual else loss * (usual / here)

    def _accumulated(self, batch_idx: int) -> int:
        """Return how many batches make up the step of this one: less than else at the end."""
        usual = self.trainer.accumulate_grad_batches
        left = int(self.trainer.num_training_batches) - batch_idx // usual * usual
        return min(usual, left)

    def on_fit_start(self) -> None:
        """Let every card draw its own augmentation and dropout; the weights are made by now."""
        if self.trainer.world_size > 1:
            torch.manual_seed(torch.initial_seed() + self.trainer.global_rank)

    def _share_of_cards(self, targets: Tensor) -> Tensor | float:
        """Return what makes the mean over the cards the mean over the batch of them all."""
        if self.trainer.world_size == 1:
            return 1.0
        mine = torch.as_tensor(self.train_criterion.weight_of(targets), device=targets.device)
        reduced: Any = self.trainer.strategy.reduce(mine.float().clone(), reduce_op="mean")
        share: Tensor = mine / reduced
        return share

    def _augmented(self, batch: Batch) -> Batch:
        """Draw what is trained on: float [B, 3, H, W], and labels [B] or soft targets [B, C]."""
        images, labels = batch
        images = self.augment(self.normalize(images))
        if self._mixup_alpha <= 0:
            return images, labels
        return mixup(images, labels, len(self.classes), self._mixup_alpha)

    def _in_pieces(self, images: Tensor, targets: Tensor, batch_idx: int, most: int) -> Tensor:
        """Run backward for all pieces, of `most` images, of a batch but the last.

        Returns:
            The loss of the whole batch, whose gradient is that of the last piece, for Lightning.
        """
        accumulate = self.trainer.accumulate_grad_batches
        if batch_idx % accumulate == 0:
            # Lightning does so between forward and backward, which is too late here.
            for optimizer in self.trainer.optimizers:
                optimizer.zero_grad()
        strategy = self.trainer.strategy
        count = math.ceil(len(images) / most)
        pieces = list(zip(images.tensor_split(count), targets.tensor_split(count), strict=True))
        before = torch.zeros((), device=images.device)
        of_cards, criterion = self._share_of_cards(targets), self.train_criterion
        for number, (few, their_targets) in enumerate(pieces, start=1):
            # What the mean of a piece counts for in the mean over its batch.
            share = criterion.weight_of(their_targets) / criterion.weight_of(targets) * of_cards
            loss: Tensor = criterion(self.model(few), their_targets) * share
            if number == count:
                break
            with getattr(strategy, "block_backward_sync", contextlib.nullcontext)():
                strategy.backward(loss / self._accumulated(batch_idx), None)
            before = before + loss.detach()
        return loss + before

    def optimizer_zero_grad(
        self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer
    ) -> None:
        """Leave the gradients of the pieces that went before."""
        if self._micro_batch is None:
            optimizer.zero_grad()

    @property
    def _log_every(self) -> int:
        # `fit` makes it less where an epoch has fewer steps.
        return int(getattr(self.trainer, "log_every_n_steps", self.cfg.trainer.log_every_n_steps))

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Begin the schedule with the first step that the optimizer takes.

        In 16 bits the scale of the loss begins so high that the first few are left out.
        """
        if getattr(scheduler.optimizer, "_opt_called", False):
            scheduler.step()

    def _learning_rate(self) -> float:
        optimizer: Any = self.optimizers()
        return float(optimizer.param_groups[0]["lr"])

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Count a batch in the validation metrics, and return its scores [B, C]."""
        return self._evaluate(batch, self.val_metrics)

    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics, and the training loss since the last time."""
        self.log_dict(self.val_metrics.compute())
        self.val_metrics.reset()
        if self._batches:
            mean = self._losses / self._batches
            self.log("train/loss_epoch", mean, sync_dist=self.trainer.world_size > 1)
            self._losses, self._batches = 0.0, 0

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Count a batch in the test metrics and in the confusion matrix, and keep its scores."""
        scores, labels = self._evaluate(batch, self.test_metrics), batch[1]
        self.confusion.update(scores.argmax(1), labels)
        # Together, as cards put their shares together in an order of their own.
        self._tested.update(torch.cat([scores, labels[:, None].float()], 1))

    def on_test_epoch_end(self) -> None:
        """Log the test metrics; leave the confusion matrix and the scores to be read."""
        # Now, while the cards can still put their shares together.
        self.counts = self.confusion.compute().cpu()
        self.confusion.reset()
        kept: Any = self._tested.compute()
        self.tested = kept[:, :-1].cpu(), kept[:, -1].long().cpu()
        self._tested.reset()
        self.log_dict(self.test_metrics.compute())
        self.test_metrics.reset()

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the scores [B, C] of a batch, and count them nowhere."""
        images, labels = batch
        scores: Tensor = self(self._filled(images))[: len(labels)].float()
        return scores

    def _evaluate(self, batch: Batch, metrics: MetricCollection) -> Tensor:
        scores, labels = self.predict_step(batch, 0), batch[1]
        metrics["loss"].update(self.criterion(scores, labels))
        metrics["f1"].update(scores.argmax(1), labels)
        metrics["accuracy"].update(scores.argmax(1), labels)
        return scores

    def _filled(self, images: Tensor) -> Tensor:
        """Repeat the first of uint8 images [B, 3, H, W] until there are `scored_at_a_time`.

        What is scored beside an image does not change its scores.
        """
        missing = (self.scored_at_a_time or 0) - len(images)
        if missing <= 0:
            return images
        # Put together as they lie in memory, so that the order stays channels last.
        rows = images.permute(0, 2, 3, 1)
        return torch.cat([rows, rows[:1].expand(missing, -1, -1, -1)]).permute(0, 3, 1, 2)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Make the optimizer, its learning rate set anew at every step."""
        optimizer = build_optimizer(
            self.model, self.cfg.optimizer, self.cfg.trainer.precision, self._undecayed
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
