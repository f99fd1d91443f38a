"""What is fair to rare classes: class weights, logit adjustment, or nothing.

    python -m tests.benchmarks.imbalance [as_drawn] [thinned]

The built-in documents, as unevenly frequent as they are drawn (375 letters to 75 notes), and
thinned: of the k-th class in order of frequency so many are kept for training that the rarest has a
25th of the most frequent. `tiny` is trained in full with three seeds, thinned for as many steps as
with all images, and its last epoch counts.
Rare: the mean F1 of the three rarest classes on the test split.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from statistics import fmean

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from src.before import config as config
from src.data.image_set import ImageSet
from src.data.load import load_splits
from src.hardware import profile as profile
from src.training.evaluate import Metrics, evaluate
from src.training.fit import fit
from tests.conftest import CONF

WAYS = (
    ("loss.class_weights=none",),
    ("loss.class_weights=balanced",),
    ("loss.class_weights=logit_adjustment",),
)
RATE, EPOCHS, SEEDS, RARE = 6e-3, 12, 3, 3
# How many times as many images the most frequent class has as the rarest, thinned.
UNEVEN = 25


def configured(words: Sequence[str]) -> DictConfig:
    """Return the config of a training."""
    common = ("gpu=cpu", "logger=none", "callbacks.progress=false", "data.img_size=48")
    with initialize_config_dir(CONF):
        found: DictConfig = compose("train", [*common, "data.batch_size=32", *words])
    return found


def thinned(images: ImageSet) -> ImageSet:
    """Return fewer images of each class, the fewer the rarer it is."""
    counts = np.bincount(images.labels)
    order = np.argsort(-counts, kind="stable")
    shares = UNEVEN ** (-np.arange(len(order)) / (len(order) - 1))
    kept = np.minimum(counts[order], np.round(counts[order[0]] * shares)).astype(int)
    rows = [np.flatnonzero(images.labels == k)[:n] for k, n in zip(order, kept, strict=True)]
    return images.subset(np.sort(np.concatenate(rows)))


def compare(name: str) -> Iterator[str]:
    """Yield what is found, a line at a time."""
    splits = load_splits(configured(()).data)
    train = splits.train if name == "as_drawn" else thinned(splits.train)
    counts = np.bincount(train.labels)
    rarest = [train.classes[row] for row in np.argsort(counts, kind="stable")[:RARE]]
    epochs = round(EPOCHS * len(splits.train) / len(train))
    yield f"{name}: {len(train)} images, {counts.max()} to {counts.min()} a class, {epochs} epochs"

    for way in WAYS:
        cfg = configured((*way, f"optimizer.lr={RATE}"))
        tests: list[Metrics] = []
        for seed in range(1, SEEDS + 1):
            done = fit(cfg, train, splits.val, max_epochs=epochs, seed=seed, output_dir=None)
            tests.append(evaluate(done, splits.test, cfg))
        rare = fmean(each.f1_by_class[kind] for each in tests for kind in rarest)
        yield (
            f"  {way[0]:37} test macro-F1 {fmean(each.f1 for each in tests):.3f} "
            f"({' '.join(f'{each.f1:.3f}' for each in tests)}), rare {rare:.3f}, "
            f"accuracy {fmean(each.accuracy for each in tests):.3f}"
        )


def main(words: Sequence[str]) -> None:
    """Print the comparisons that are named, both by default."""
    for word in words or ("as_drawn", "thinned"):
        for line in compare(word):
            print(line, flush=True)
        print(f"  processor time so far: {time.process_time():.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
