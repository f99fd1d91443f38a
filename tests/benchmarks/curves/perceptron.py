"""A model that trains in a quarter of a second: two layers on 16 x 16 grey pixels, `mlp`.

Of it the table has hundreds of configurations, which larger searches and samplers need. Folds,
schedule, optimizer and what is varied are those of the other models.
"""

import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import f1_score
from torch import nn

from src.data.folds import stratified_folds
from src.data.image_set import ImageSet
from src.training.config import SchedulerConfig
from src.training.optimizer import learning_rate_factor
from tests.benchmarks.curves.configurations import Configuration
from tests.benchmarks.curves.sets import SIDE, Data

NAME = "mlp"
POOLED, HIDDEN = 16, 64


def curves_of(
    chosen: Configuration, data: Data, epochs: int, folds: int, cut_seed: int, seed: int
) -> tuple[list[list[float]], list[float], list[float]]:
    """Train all folds of a configuration.

    Args:
        chosen: the configuration.
        data: the set.
        epochs: of a fold.
        folds: how many.
        cut_seed: of the cut into folds.
        seed: of weights and batches of the first fold.

    Returns:
        Macro-F1 after each epoch [folds][epochs], of the test split [folds], and seconds [folds].
    """
    pixels, tests = _grey(data.searched), _grey(data.test)
    labels, test_labels = data.searched.labels, data.test.labels
    classes = len(data.searched.classes)
    curves, found, seconds = [], [], []
    cut = stratified_folds(labels, folds, cut_seed, data.searched.groups)
    for fold, (train, held_out) in enumerate(cut):
        began = time.monotonic()
        torch.manual_seed(seed + fold)
        model = nn.Sequential(
            nn.Linear(POOLED**2, HIDDEN),
            nn.ReLU(),
            nn.Dropout(chosen.drop_rate),
            nn.Linear(HIDDEN, classes),
        )
        rows, targets = torch.from_numpy(train), torch.from_numpy(labels)
        curve = [
            _f1(model, pixels[torch.from_numpy(held_out)], labels[held_out])
            for _ in _epochs(model, chosen, pixels[rows], targets[rows], epochs)
        ]
        curves.append(curve)
        found.append(_f1(model, tests, test_labels))
        seconds.append(time.monotonic() - began)
    return curves, found, seconds


def _epochs(
    model: nn.Module, chosen: Configuration, pixels: torch.Tensor, targets: torch.Tensor, count: int
) -> Iterator[int]:
    """Train, and yield after each epoch."""
    steps = max(1, len(pixels) // chosen.batch_size)
    schedule = SchedulerConfig("cosine", chosen.warmup_epochs, min_lr_ratio=0.01)
    factor = learning_rate_factor(schedule, steps, count)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=chosen.lr, weight_decay=chosen.weight_decay, foreach=True
    )
    loss = nn.CrossEntropyLoss(label_smoothing=chosen.label_smoothing)
    for epoch in range(count):
        model.train()
        order = torch.randperm(len(pixels))
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = chosen.lr * factor(epoch * steps + step)
            batch = order[step * chosen.batch_size : (step + 1) * chosen.batch_size]
            optimizer.zero_grad()
            loss(model(pixels[batch]), targets[batch]).backward()
            optimizer.step()
        yield epoch


def _grey(images: ImageSet) -> torch.Tensor:
    """Return float [N, 256], each image with mean 0 and spread 1."""
    grey = torch.from_numpy(images.images.mean(-1).astype(np.float32))[:, None]
    flat = torch.nn.functional.avg_pool2d(grey, SIDE // POOLED).flatten(1)
    return (flat - flat.mean(1, keepdim=True)) / (flat.std(1, keepdim=True) + 1)


def _f1(model: nn.Module, pixels: torch.Tensor, labels: npt.NDArray[np.int64]) -> float:
    model.eval()
    with torch.no_grad():
        said = model(pixels).argmax(1).numpy()
    return float(f1_score(labels, said, average="macro", zero_division=0))
