"""From the `data` group to images in memory, cut into train, validation and test."""

import hashlib
import json
import logging
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split

from src.data.cache import cached_array
from src.data.config import DataConfig
from src.data.documents.generate import DRAWING_VERSION, class_sizes, draw_documents
from src.data.image_set import ImageSet
from src.errors import UserError

log = logging.getLogger(__name__)


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
    sizes = class_sizes(cfg.n_images)
    classes = tuple(sizes)
    labels = np.repeat(np.arange(len(classes)), list(sizes.values()))
    images = cached_array(
        cfg.cache_dir,
        f"documents-{data_fingerprint(cfg)}-{cfg.img_size}px",
        lambda: draw_documents(sizes, cfg.img_size, cfg.seed),
    )
    everything = ImageSet(images, labels, classes)
    rest, test = _cut(np.arange(len(labels)), labels, cfg.test_fraction, cfg.seed)
    share_of_rest = cfg.val_fraction / (1 - cfg.test_fraction)
    train, val = _cut(rest, labels[rest], share_of_rest, cfg.seed)
    return Splits(*(everything.subset(np.sort(part)) for part in (train, val, test)))


def data_fingerprint(cfg: DataConfig) -> str:
    """Return a short hash of what the images are; sizes of images and batches do not count."""
    facts = [cfg.source, cfg.n_images, cfg.seed, DRAWING_VERSION]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


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


def _cut(
    rows: np.ndarray, labels: np.ndarray, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    first, second = train_test_split(rows, test_size=share, random_state=seed, stratify=labels)
    return first, second
