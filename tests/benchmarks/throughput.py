"""Images a second of five ways to train the same model on the same images, side by side:

python -m tests.benchmarks.throughput [REPEATS]

* ours: `src.training.fit`, images decoded once into memory, normalised in batches;
* Lightning with a `DataLoader` over image files and torchvision's transforms, the way
  lightning-hydra-template builds it: decoded and normalised one by one, every epoch;
* the same with images decoded, shrunk and normalised once into tensors in memory, which is fair
  to it where they all fit there as floats, four times the size of ours;
* timm's way: `timm.data.create_loader` over the same files, normalised in batches, and a plain
  loop with timm's clipping and schedule;
* the limit: a bare PyTorch loop on uint8 images that are in memory already.

All do the same work for a step: shuffled batches, normalisation and no other augmentation,
channels last, smoothed cross entropy, gradients clipped by norm, fused AdamW (not in Lightning's
own way in 16 bits, where it clips no gradients of one), a learning rate a step; float32 on a
CPU, bfloat16 autocast on CUDA. Files are JPEGs of 360 x 480 px, a small page; ours, the limit and
the fair row have them decoded and shrunk before, the others do so in every epoch. Only training is
timed, from the start of an epoch to the end of its last step; the first epoch of every run warms
up. The ways take turns, and the median over all timed epochs counts. On a busy machine images a
second mean nothing, but the processor time of this process does, against the limit's; it leaves out
what processes do that load images.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import timm
import torch
from hydra import compose, initialize_config_dir
from PIL import Image
from rich.console import Console
from rich.table import Table
from timm.data.dataset import ImageDataset
from timm.data.loader import create_loader
from timm.scheduler.cosine_lr import CosineLRScheduler
from timm.utils.clip_grad import dispatch_clip_grad
from timm.utils.metrics import AverageMeter
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, Normalize, Resize, ToTensor

from src.before import config as config
from src.data.image_set import ImageSet
from src.hardware import profile as profile
from src.hardware.detect import cores
from src.training.fit import fit
from tests.conftest import CONF

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLASSES, RATE, DECAY, CLIP, SMOOTHING = 12, 1e-3, 0.05, 1.0, 0.1
TIMED_EPOCHS = 2
PROMISED = 0.95
CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")


@dataclass(frozen=True)
class Case:
    """A model, and the images that it is trained on for an epoch."""

    name: str
    side: int
    batch: int
    images: int
    # As Lightning calls it.
    precision: str


# On a card, epochs of a fifth of a second would measure nothing.
MANY = 16 if CUDA else 1
PRECISION = "bf16-mixed" if CUDA else "32-true"
CASES = (
    Case("test_resnet", 64, 32, 1280 * MANY, PRECISION),
    Case("resnet50", 128, 16, 96 * MANY, PRECISION),
)
PAGE = (360, 480)


@dataclass(frozen=True)
class Epoch:
    """What the training part of an epoch has taken, in seconds."""

    wall: float
    # Of all threads of this process.
    cpu: float


Way = Callable[[Case, Path, ImageSet], list[Epoch]]


def main(repeats: int = 3) -> None:
    """Measure both models and print a table for each."""
    console = Console()
    device = torch.cuda.get_device_name() if CUDA else f"{torch.get_num_threads()} threads of a CPU"
    console.print(f"{device}, load of the machine before: {os.getloadavg()[0]:.1f}")
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            images = write_images(case, Path(folder))
            epochs: dict[str, list[Epoch]] = {name: [] for name in WAYS}
            for _ in range(repeats):
                for name, way in WAYS.items():
                    epochs[name] += way(case, Path(folder), images)
        console.print(table_of(case, epochs))
    console.print(f"promised for ours: {PROMISED} of the limit, and ahead of the others")


def table_of(case: Case, epochs: dict[str, list[Epoch]]) -> Table:
    """Return images a second, by the clock and of processor time, and their share of the limit."""
    table = Table(title=f"{case.name}, {case.side} px, batch {case.batch}", box=None)
    for column in ("", "images/s", "of the limit", "images/CPU s", "of the limit"):
        table.add_column(column, justify="right" if column else "left")
    trained = case.images // case.batch * case.batch
    walls = {
        name: trained / statistics.median(e.wall for e in many) for name, many in epochs.items()
    }
    cpus = {name: trained / statistics.median(e.cpu for e in many) for name, many in epochs.items()}
    for name, wall in walls.items():
        cells = [f"{wall:.0f}", f"{wall / walls[LIMIT]:.2f}"]
        if not name.endswith("workers"):
            cells += [f"{cpus[name]:.0f}", f"{cpus[name] / cpus[LIMIT]:.2f}"]
        table.add_row(name, *cells)
    return table


def write_images(case: Case, folder: Path) -> ImageSet:
    """Write JPEGs, a folder a class; return the same images in memory."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (case.images, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(case.images) % CLASSES
    pixels = np.empty((case.images, case.side, case.side, 3), np.uint8)
    for row, label in enumerate(labels):
        place = folder / f"{label:02d}" / f"{row}.jpg"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(coarse[row]).resize(PAGE).save(place, quality=90)
        pixels[row] = np.asarray(Image.open(place).resize((case.side, case.side)))
    return ImageSet(pixels, labels, tuple(str(number) for number in range(CLASSES)))


class Clock(pl.Callback):
    """Times the training part of every epoch."""

    def __init__(self) -> None:
        self.epochs: list[Epoch] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._watch = Watch()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.is_last_batch:
            self.epochs.append(self._watch.stop())


class Watch:
    """Runs from the moment that it is made."""

    def __init__(self) -> None:
        wait()
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def stop(self) -> Epoch:
        """Return what has gone by."""
        wait()
        return Epoch(time.perf_counter() - self._wall, time.process_time() - self._cpu)


def wait() -> None:
    """Wait until the card has done what it was given."""
    if CUDA:
        torch.cuda.synchronize()


def ours(case: Case, folder: Path, images: ImageSet) -> list[Epoch]:
    """Train through the training room, as a trial does."""
    words = [
        *(f"gpu={'auto' if CUDA else 'cpu'}", f"model.name={case.name}", "logger=none"),
        *(f"data.img_size={case.side}", f"data.batch_size={case.batch}", "gpu.max_batch_size=4096"),
        *(f"trainer.precision={case.precision}", "model.pretrained=false"),
        *(f"optimizer.lr={RATE}", f"optimizer.weight_decay={DECAY}"),
        *(f"callbacks.gradient_clip_norm={CLIP}", f"loss.label_smoothing={SMOOTHING}"),
    ]
    with initialize_config_dir(CONF):
        cfg = compose("train", words)
    clock, few = Clock(), images.subset(np.arange(2))
    epochs = 1 + TIMED_EPOCHS
    fit(cfg, images, few, max_epochs=epochs, seed=0, output_dir=None, callbacks=[clock])
    return clock.epochs[1:]


class PlainModule(pl.LightningModule):
    """A LightningModule as most people write it."""

    def __init__(self, case: Case, steps: int) -> None:
        super().__init__()
        self.model, self.steps, self.case = make_model(case), steps, case
        self.criterion = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        images = images.to(memory_format=torch.channels_last)
        loss: Tensor = self.criterion(self.model(images), labels)
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        # Lightning clips no gradients of a fused optimizer in 16 bits.
        optimizer = make_optimizer(self.model, fused=self.case.precision == "32-true")
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def from_files(case: Case, folder: Path, images: ImageSet) -> Dataset[Any]:
    """Return the files, each decoded and normalised whenever it is taken."""
    size = (case.side, case.side)
    transform = Compose([Resize(size), ToTensor(), Normalize(MEAN, STD)])
    files: Dataset[Any] = ImageFolder(str(folder), transform)
    return files


def from_memory(case: Case, folder: Path, images: ImageSet) -> Dataset[Any]:
    """Return the images decoded and normalised in memory, as floats."""
    pixels = torch.from_numpy(images.images).permute(0, 3, 1, 2) / 255
    return TensorDataset(Normalize(MEAN, STD)(pixels), torch.from_numpy(images.labels))


def lightning_and_dataloader(workers: int, data: Callable[..., Dataset[Any]] = from_files) -> Way:
    """Return the way of lightning-hydra-template with so many processes that load."""

    def train(case: Case, folder: Path, images: ImageSet) -> list[Epoch]:
        loader = DataLoader(
            data(case, folder, images),
            case.batch,
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            pin_memory=CUDA,
            persistent_workers=workers > 0,
        )
        clock, epochs = Clock(), 1 + TIMED_EPOCHS
        precision: Any = case.precision
        trainer = pl.Trainer(
            max_epochs=epochs,
            accelerator=DEVICE.type,
            devices=1,
            precision=precision,
            gradient_clip_val=CLIP,
            callbacks=[clock],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(PlainModule(case, epochs * len(loader)), loader)
        return clock.epochs[1:]

    return train


def timms_loop(workers: int) -> Way:
    """Return timm's way with so many processes that load."""

    def train(case: Case, folder: Path, images: ImageSet) -> list[Epoch]:
        loader: Any = create_loader(
            ImageDataset(str(folder)),  # type: ignore[no-untyped-call]
            (3, case.side, case.side),
            case.batch,
            is_training=True,
            no_aug=True,
            mean=MEAN,
            std=STD,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=CUDA,
            device=DEVICE,
        )
        model = make_model(case).to(DEVICE).train()
        optimizer, criterion = make_optimizer(model), nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
        losses: Any = AverageMeter()  # type: ignore[no-untyped-call]
        epochs = 1 + TIMED_EPOCHS
        schedule = CosineLRScheduler(optimizer, epochs * len(loader), t_in_epochs=False)
        found = []
        for epoch in range(epochs):
            watch = Watch()
            for number, (batch, labels) in enumerate(loader):
                with autocast(case):
                    loss = criterion(model(batch.to(memory_format=torch.channels_last)), labels)
                optimizer.zero_grad()
                loss.backward()
                dispatch_clip_grad(model.parameters(), CLIP)
                optimizer.step()
                schedule.step_update(epoch * len(loader) + number)
                if number % 50 == 0:
                    losses.update(loss.item(), len(batch))
            found.append(watch.stop())
        return found[1:]

    return train


def bare_loop(case: Case, folder: Path, images: ImageSet) -> list[Epoch]:
    """Train in a bare loop on images that are on the device already."""
    pixels = torch.from_numpy(images.images).to(DEVICE)
    labels = torch.from_numpy(images.labels).to(DEVICE)
    scale = torch.tensor([1 / (255 * s) for s in STD], device=DEVICE).view(1, 3, 1, 1)
    offset = torch.tensor([-m / s for m, s in zip(MEAN, STD, strict=True)], device=DEVICE).view(
        1, 3, 1, 1
    )
    model = make_model(case).to(DEVICE).train()
    optimizer, criterion = make_optimizer(model), nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    steps = len(pixels) // case.batch * (1 + TIMED_EPOCHS)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    found = []
    for _ in range(1 + TIMED_EPOCHS):
        watch = Watch()
        for rows in batches(len(pixels), case.batch):
            batch = torch.addcmul(offset, pixels[rows].permute(0, 3, 1, 2).float(), scale)
            with autocast(case):
                loss = criterion(model(batch), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            schedule.step()
        found.append(watch.stop())
    return found[1:]


def batches(count: int, size: int) -> Iterator[Tensor]:
    """Yield rows in a new order, whole batches alone."""
    order = torch.randperm(count, device=DEVICE)
    yield from (order[i * size : (i + 1) * size] for i in range(count // size))


def make_model(case: Case) -> nn.Module:
    """Make the model of a case, channels last."""
    model: nn.Module = timm.create_model(case.name, num_classes=CLASSES)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def make_optimizer(model: nn.Module, fused: bool = True) -> torch.optim.Optimizer:
    """Make the optimizer that all take, in one kernel where that is possible."""
    return torch.optim.AdamW(model.parameters(), RATE, weight_decay=DECAY, fused=fused)


def autocast(case: Case) -> AbstractContextManager[Any]:
    """Return the precision that all take."""
    mixed = case.precision == "bf16-mixed"
    return torch.autocast(DEVICE.type, dtype=torch.bfloat16, enabled=mixed)


LIMIT = "bare loop, images in memory"
WAYS: dict[str, Way] = {
    LIMIT: bare_loop,
    "ours": ours,
    "Lightning + DataLoader, no worker": lightning_and_dataloader(0),
    f"Lightning + DataLoader, {cores()} workers": lightning_and_dataloader(cores()),
    "Lightning + DataLoader, tensors in memory": lightning_and_dataloader(0, from_memory),
    "timm's loader and loop, no worker": timms_loop(0),
    f"timm's loader and loop, {cores()} workers": timms_loop(cores()),
}

if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
