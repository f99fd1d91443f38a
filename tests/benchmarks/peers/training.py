"""The training that all peers share, as a user would write it, in two qualities.

plain: as lightning-hydra-template has it: torchvision's `ImageFolder`, resized and normalised image
    by image in every epoch, a `DataLoader` without workers, metrics of training logged, AdamW.
tuned: as an expert would by hand: decoded once a process into uint8, whole batches indexed at a
    time, normalised in the step, channels last, fused AdamW, no metrics of training.

Model, loss, decay groups, clipping, schedule and epochs are those of `hparams_search=fast` with
`model=tiny`; a trial's value is macro-F1 on the pages held out, after the last epoch. What a trial
needs to know comes from the environment, as the peers start processes in ways of their own.
"""

import json
import logging
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import timm
import torch
from timm.optim._param_groups import param_groups_weight_decay
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score
from torchvision import transforms
from torchvision.datasets import ImageFolder

# Of each trial a line on devices and one on the end.
logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
SIDE = 64
BATCHES = (16, 32, 48, 64)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BICUBIC = transforms.InterpolationMode.BICUBIC
Decoded = tuple[Tensor, Tensor]


def setting(name: str) -> str:
    """Return what `python -m tests.benchmarks.peers` has set for the processes it starts."""
    return os.environ[f"PEER_{name}"]


def epochs() -> int:
    """Return the length of every trial."""
    return int(setting("EPOCHS"))


def note(**facts: Any) -> None:
    """Append a trial's facts as a line of JSON, in one write."""
    with open(Path(setting("OUT")) / "trials.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(facts) + "\n")


class Net(pl.LightningModule):
    """A classifier.

    Args:
        classes: how many.
        params: `lr`, `weight_decay`, `drop_rate`.
        steps: of an epoch.
        tuned: in the expert's way.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, classes: int, params: dict[str, Any], steps: int, tuned: bool) -> None:
        super().__init__()
        net: Any = timm.create_model(
            "test_resnet", num_classes=classes, drop_rate=params["drop_rate"]
        )
        self.net = net.to(memory_format=torch.channels_last) if tuned else net
        self.params, self.steps, self.tuned = params, steps, tuned
        self.train_loss, self.val_loss = MeanMetric(), MeanMetric()
        self.train_accuracy = MulticlassAccuracy(classes, average="micro")
        self.val_accuracy = MulticlassAccuracy(classes, average="micro")
        self.val_f1 = MulticlassF1Score(classes, average="macro")
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        if images.dtype == torch.uint8:
            images = (images.float() - self.mean) / self.std
        scores: Tensor = self.net(images)
        return scores

    def training_step(self, batch: Decoded, _: int) -> Tensor:
        images, labels = batch
        scores = self(images)
        loss = nn.functional.cross_entropy(scores, labels, label_smoothing=0.1)
        if not self.tuned:
            self.train_loss(loss)
            self.train_accuracy(scores.argmax(1), labels)
            self.log("train/loss", self.train_loss, on_step=False, on_epoch=True)
            self.log("train/accuracy", self.train_accuracy, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Decoded, _: int) -> None:
        images, labels = batch
        scores = self(images)
        self.val_loss(nn.functional.cross_entropy(scores, labels))
        self.val_accuracy(scores.argmax(1), labels)
        self.val_f1(scores.argmax(1), labels)
        self.log("val/loss", self.val_loss, on_step=False, on_epoch=True)
        self.log("val/accuracy", self.val_accuracy, on_step=False, on_epoch=True)
        self.log("val/f1", self.val_f1, on_step=False, on_epoch=True)

    def configure_optimizers(self) -> Any:
        groups = param_groups_weight_decay(self.net, self.params["weight_decay"])
        optimizer = torch.optim.AdamW(
            groups, lr=self.params["lr"], fused=True if self.tuned else None
        )
        total = self.steps * epochs()
        warmup = min(self.steps, total // 2)

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            progress = min(1.0, (step - warmup) / max(1, total - 1 - warmup))
            return 0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        scheduler = {"scheduler": schedule, "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": scheduler}


class InMemory(Dataset[Decoded]):
    """Takes the indices of a whole batch, so that nothing is collated image by image."""

    def __init__(self, pixels: Tensor, labels: Tensor) -> None:
        self.pixels, self.labels = pixels, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Any) -> Decoded:
        return self.pixels[rows], self.labels[rows]


def decode(folder: Path) -> Decoded:
    """Return a folder of classes as uint8 [N, 3, side, side], channels last, and int64 [N]."""
    resize = transforms.Resize((SIDE, SIDE), interpolation=BICUBIC)
    found = ImageFolder(str(folder), transforms.Compose([resize, transforms.PILToTensor()]))
    pixels = torch.empty(len(found), 3, SIDE, SIDE, dtype=torch.uint8)
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    labels = torch.empty(len(found), dtype=torch.int64)
    for row in range(len(found)):
        pixels[row], labels[row] = found[row]
    return pixels, labels


_decoded: dict[Path, Decoded] = {}


def loaders(folders: Sequence[Path], size: int, tuned: bool) -> tuple[Any, Any]:
    """Return loaders of the folders to train on and to score."""
    if tuned:
        for folder in folders:
            # Once a process.
            if folder not in _decoded:
                _decoded[folder] = decode(folder)
        train, val = (InMemory(*_decoded[folder]) for folder in folders)
        shuffled = BatchSampler(RandomSampler(train), size, drop_last=True)
        in_order = BatchSampler(SequentialSampler(val), 2 * size, drop_last=False)
        return (
            DataLoader(train, batch_size=None, sampler=shuffled),
            DataLoader(val, batch_size=None, sampler=in_order),
        )
    steps = [
        transforms.Resize((SIDE, SIDE), interpolation=BICUBIC),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
    found = [ImageFolder(str(folder), transforms.Compose(steps)) for folder in folders]
    return (
        DataLoader(found[0], size, shuffle=True, drop_last=True),
        DataLoader(found[1], 2 * size),
    )


class Curve(pl.Callback):
    """Keeps macro-F1 after each epoch."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.values.append(float(trainer.callback_metrics["val/f1"]))


def train(
    params: dict[str, Any],
    callbacks: Sequence[pl.Callback] = (),
    parts: tuple[str, str] = ("train", "val"),
    seed: int | None = None,
    tuned: bool | None = None,
) -> float:
    """Train one configuration; return macro-F1 after the last epoch.

    Args:
        params: `lr`, `batch_size`, `weight_decay`, `drop_rate`.
        callbacks: of the peer.
        parts: folders of the data to train on and to score.
        seed: of weights and order.
        tuned: in the expert's way; as the environment says where it is None.
    """
    torch.set_num_threads(1)
    pl.seed_everything(int(setting("SEED")) if seed is None else seed, verbose=False)
    expert = setting("QUALITY") == "tuned" if tuned is None else tuned
    folders = [Path(setting("DATA")) / part for part in parts]
    to_train, to_score = loaders(folders, int(params["batch_size"]), expert)
    classes = len([path for path in folders[0].iterdir() if path.is_dir()])
    trainer = pl.Trainer(
        max_epochs=epochs(),
        accelerator="cpu",
        devices=1,
        gradient_clip_val=1.0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=list(callbacks),
        default_root_dir=setting("OUT"),
    )
    trainer.fit(Net(classes, params, len(to_train), expert), to_train, to_score)
    return float(trainer.callback_metrics["val/f1"])


def noted(
    params: dict[str, Any], callbacks: Sequence[pl.Callback], pruned: type[BaseException]
) -> float:
    """Train a trial and note what became of it."""
    started, curve, state = time.time(), Curve(), "FAIL"
    try:
        value = train(params, [curve, *callbacks])
        state = "COMPLETE"
        return value
    except pruned:
        state = "PRUNED"
        raise
    finally:
        last = curve.values[-1] if curve.values else None
        note(
            start=started,
            end=time.time(),
            value=last,
            state=state,
            epochs=len(curve.values),
            params=params,
        )
