"""What batch norm's statistics do to the score of a short trial, and what else could be done:

    python -m tests.benchmarks.batch_norm [documents|digits] [tiny|lite0] [SEEDS]

The first fold of the built-in documents, 64 px, or of scikit-learn's digits, 32 px, with batches
of 16, of 128, and of 32 in pieces of 4, three epochs each. The statistics change no weight,
so all kinds of them are compared on the very same weights; the averages of weights and the frozen
statistics are runs of their own. `limit` is what these weights score with the statistics of all
training images at once: what the others are short of.
"""

import sys
from collections import defaultdict
from statistics import fmean, stdev
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from pytorch_lightning.callbacks import EMAWeightAveraging, WeightAveraging
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from src.before import config as config
from src.data.folds import stratified_folds
from src.data.image_set import ImageSet
from src.data.load import load_splits
from src.hardware import profile as profile
from src.training.batch_norm import norms_with_statistics, take_statistics
from src.training.fit import fit
from tests.conftest import CONF

EPOCHS, FOLDS = 3, 3
BATCHES: dict[str, tuple[str, ...]] = {
    "16": ("data.batch_size=16",),
    "32, by 4": ("data.batch_size=32", "trainer.micro_batch_size=4"),
    "128": ("data.batch_size=128",),
}
# Scored after the last epoch, on the same weights.
Scores = dict[str, float]


class Rivals(pl.Callback):
    """Keeps running averages of its own, and scores the last weights with each kind of them.

    Args:
        train: what is trained on.
        val: what is scored.
        augments: whether what is trained on is augmented.
    """

    def __init__(self, train: ImageSet, val: ImageSet, augments: bool) -> None:
        self._train, self._val, self._augments = train, val, augments
        self.scores: Scores = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._norms = cast("list[Any]", norms_with_statistics(pl_module.model))
        self._averages = {momentum: _kept(self._norms) for momentum in (0.1, 0.4)}
        # So that the model's own are those of the latest batch, or piece of one.
        for norm in self._norms:
            norm.momentum = 1.0
        pl_module.model.register_forward_hook(self._add)

    def _add(self, model: nn.Module, *_: Any) -> None:
        if not model.training:
            return
        batch = _kept(self._norms)
        for momentum, averages in self._averages.items():
            for average, new in zip(averages, batch, strict=True):
                average.lerp_(new, momentum)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if trainer.current_epoch < EPOCHS - 1:
            return
        for momentum, averages in self._averages.items():
            _put(self._norms, averages)
            self._score(f"running average, {momentum} a step", pl_module)
        order = np.random.default_rng(0).permutation(len(self._train))
        for count, at_a_time in ((64, 64), (128, 64), (256, 64), (512, 64), (512, 16), (512, 8)):
            rows = np.array_split(order[:count], count // at_a_time)
            self._exact(f"exact, {count} images, {at_a_time} at a time", pl_module, rows)
        rows = np.array_split(order[:512], 8)
        if self._augments:
            self._exact("exact, 512 augmented images, 64 at a time", pl_module, rows, True)
        _update_bn(pl_module, self._train, rows)
        self._score("torch's update_bn, 512 images, 64 at a time", pl_module)
        rows = np.array_split(order, max(1, len(order) // 256))
        self._exact("limit: all images, 256 at a time", pl_module, rows)
        pl_module.eval()

    def _exact(self, label: str, module: Any, rows: Any, augmented: bool = False) -> None:
        def pixels(row: Any) -> Tensor:
            plain = module.normalize(_pixels(self._train, row))
            found: Tensor = module.augment(plain) if augmented else plain
            return found

        take_statistics(module.model, (pixels(row) for row in rows))
        self._score(label, module)

    def _score(self, label: str, module: Any) -> None:
        module.eval()
        parts = np.array_split(np.arange(len(self._val)), max(1, len(self._val) // 256))
        with torch.no_grad():
            found = torch.cat([module(_pixels(self._val, rows)).argmax(1) for rows in parts])
        self.scores[label] = float(
            f1_score(self._val.labels, found.numpy(), average="macro", zero_division=0)
        )


class Frozen(pl.Callback):
    """Leaves the statistics as they are, and normalises by them in training too."""

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        for norm in norms_with_statistics(pl_module.model):
            norm.eval()


def _pixels(images: ImageSet, rows: Any) -> Tensor:
    return torch.from_numpy(images.pixels[images.rows[rows]]).permute(0, 3, 1, 2)


def _update_bn(module: Any, train: ImageSet, rows: Any) -> None:
    inputs = [module.normalize(_pixels(train, row)) for row in rows]
    with torch.no_grad():
        update_bn(inputs, module.model)


def _kept(norms: list[Any]) -> list[Tensor]:
    return [
        getattr(norm, name).clone() for norm in norms for name in ("running_mean", "running_var")
    ]


def _put(norms: list[Any], kept: list[Tensor]) -> None:
    values = iter(kept)
    for norm in norms:
        norm.running_mean.copy_(next(values))
        norm.running_var.copy_(next(values))


def digits() -> ImageSet:
    """Return scikit-learn's handwritten digits, 32 x 32 pixels."""
    images, labels = load_digits(return_X_y=True)
    grey = np.clip(images.reshape(-1, 8, 8) * 16, 0, 255).astype(np.uint8)
    large = grey.repeat(4, 1).repeat(4, 2)[..., None].repeat(3, 3)
    return ImageSet(np.ascontiguousarray(large), labels.astype(np.int64), tuple("0123456789"))


def images(name: str, cache: str) -> tuple[ImageSet, tuple[str, ...]]:
    """Return the images of a name, and the keys that go with them."""
    if name == "digits":
        return digits(), ("data.img_size=32",)
    plain = compose("train", ["gpu=cpu", *([f"data.cache_dir={cache}"] if cache else [])])
    return load_splits(plain.data).train, ("data.img_size=64",)


def score(keys: tuple[str, ...], data: ImageSet, seed: int) -> Scores:
    """Return the score of every rival."""
    train, val = (
        data.subset(rows) for rows in stratified_folds(data.labels, FOLDS, 0, data.groups)[0]
    )
    cfg = compose("train", ["gpu=cpu", "logger=none", "trainer.precise_bn=0", *keys])

    def trained(*callbacks: pl.Callback) -> float:
        return fit(
            *(cfg, train, val),
            max_epochs=EPOCHS,
            seed=seed,
            output_dir=None,
            callbacks=list(callbacks),
        ).f1

    rivals = Rivals(train, val, "augment=document" in keys)
    trained(rivals)
    if cfg.trainer.micro_batch_size:
        return rivals.scores
    return {
        **rivals.scores,
        "frozen": trained(Frozen()),
        "average of weights, 0.9": trained(EMAWeightAveraging(decay=0.9)),
        "average of weights, all steps": trained(WeightAveraging()),
    }


def main(name: str = "documents", model: str = "tiny", seeds: str = "3", cache: str = "") -> None:
    """Print the table after every seed."""
    more = ("experiment=finetune_lite0", "augment=none") if model == "lite0" else ()
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with initialize_config_dir(CONF):
        data, keys = images(name, cache)
        for seed in range(int(seeds)):
            for batch, sized in BATCHES.items():
                for label, value in score((*more, *keys, *sized), data, seed).items():
                    found[label][batch].append(value)
            _print(f"{model}, {name}, {seed + 1} seeds: macro-F1 after {EPOCHS} epochs", found)


def _print(title: str, found: dict[str, dict[str, list[float]]]) -> None:
    table = Table(title=title, box=None)
    for column in ("statistics", *(f"batch {batch}" for batch in BATCHES)):
        table.add_column(column, no_wrap=True)
    for label, by_batch in found.items():
        table.add_row(label, *(_mean(by_batch.get(batch, [])) for batch in BATCHES))
    Console(width=140).print(table)


def _mean(values: list[float]) -> str:
    if len(values) < 2:
        return ", ".join(f"{value:.3f}" for value in values)
    return f"{fmean(values):.3f} +- {stdev(values):.3f}"


if __name__ == "__main__":
    main(*sys.argv[1:])
