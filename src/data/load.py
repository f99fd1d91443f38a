"""From the `data` group to images in memory, cut into train, validation and test."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split

from src.data.cache import cached_array
from src.data.config import DataConfig
from src.data.documents.generate import DRAWING_VERSION, class_sizes, draw_documents
from src.data.image_set import ImageSet
from src.errors import UserError


@dataclass(frozen=True)
class Splits:
    """The three parts of a data set; a search sees `train` alone."""

    train: ImageSet
    val: ImageSet
    test: ImageSet


def load_splits(cfg: DataConfig) -> Splits:
    """Load or draw the images at `cfg.img_size` and cut them, the same way every time.

    Raises:
        UserError: names the key of `data` that makes no sense.
    """
    if cfg.source != "documents":
        raise UserError(f"data.source={cfg.source}: unknown; there is 'documents'")
    _check_fractions(cfg)
    if cfg.seed < 0:
        raise UserError(f"data.seed={cfg.seed}: must be 0 or more")
    sizes = class_sizes(cfg.n_images)
    _check_sizes(cfg, sizes)
    classes = tuple(sizes)
    labels = np.repeat(np.arange(len(classes)), list(sizes.values()))
    images = cached_array(
        cfg.cache_dir,
        f"documents-{_short_hash(_drawing_facts(cfg))}-{cfg.img_size}px",
        lambda: draw_documents(sizes, cfg.img_size, cfg.seed),
    )
    everything = ImageSet(images, labels, classes)
    rest, test = _cut(np.arange(len(labels)), labels, cfg.test_fraction, cfg.seed)
    share_of_rest = cfg.val_fraction / (1 - cfg.test_fraction)
    train, val = _cut(rest, labels[rest], share_of_rest, cfg.seed)
    return Splits(*(everything.subset(np.sort(part)) for part in (train, val, test)))


def data_fingerprint(cfg: DataConfig) -> str:
    """Return a short hash of what the images and splits are, not of `img_size` or `batch_size`."""
    return _short_hash([*_drawing_facts(cfg), cfg.val_fraction, cfg.test_fraction])


def _drawing_facts(cfg: DataConfig) -> list[str | int]:
    return [cfg.source, cfg.n_images, cfg.seed, DRAWING_VERSION]


def _short_hash(facts: Sequence[str | int | float]) -> str:
    return hashlib.sha256(json.dumps(list(facts)).encode()).hexdigest()[:12]


def _check_fractions(cfg: DataConfig) -> None:
    for key in ("val_fraction", "test_fraction"):
        value = getattr(cfg, key)
        if not 0 < value < 1:
            raise UserError(f"data.{key}={value}: must be between 0 and 1")
    if cfg.val_fraction + cfg.test_fraction >= 0.9:
        raise UserError(
            f"data.val_fraction={cfg.val_fraction} and data.test_fraction={cfg.test_fraction} "
            "leave too little to train on; together they must stay below 0.9"
        )


def _check_sizes(cfg: DataConfig, sizes: Mapping[str, int]) -> None:
    """Every split has to hold images of the rarest class."""
    name, size = min(sizes.items(), key=lambda item: item[1])
    shares = {
        "val": cfg.val_fraction,
        "test": cfg.test_fraction,
        "train": 1 - cfg.val_fraction - cfg.test_fraction,
    }
    for split, share in shares.items():
        if size * share < 1:
            raise UserError(
                f"data.n_images={cfg.n_images}, data.val_fraction={cfg.val_fraction}, "
                f"data.test_fraction={cfg.test_fraction}: {size} images of {name} leave none for "
                f"{split}; raise n_images or that split's share"
            )


def _cut(
    rows: np.ndarray, labels: np.ndarray, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    first, second = train_test_split(rows, test_size=share, random_state=seed, stratify=labels)
    return first, second
