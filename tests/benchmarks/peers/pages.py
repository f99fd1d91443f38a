"""The pages that all systems search on, as JPEG files, and the one split that all score by."""

import os
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from PIL import Image

from src.before import config as config
from src.data.folds import stratified_folds
from src.data.image_set import ImageSet
from src.data.load import load_splits
from src.data.splits import Splits
from src.hardware import profile as profile
from tests.benchmarks.peers.training import SIDE
from tests.conftest import CONF

# About 950 to search on.
PAGES, DRAWN = 1580, 224
# What ours is told of the data, wherever it lies.
OURS = ("data=image_folder", "data.fit=stretch", f"data.img_size={SIDE}")
PARTS = ("train", "val", "test")


def write(folder: Path, pages: int = PAGES) -> None:
    """Draw the built-in documents into `folder/ours`, and what peers see of them into `peers`.

    There `train` and `val` are the one split of `quick_validation.folds=1`, and `all` is both.
    """
    splits = _load(f"data.n_images={pages}", f"data.img_size={DRAWN}")
    for part in PARTS:
        _save(getattr(splits, part), folder / "ours" / part)
    share(folder)


def share(folder: Path) -> None:
    """Lay out for peers what is in `folder/ours`: `train`, `val` and `test`, a folder a class."""
    root, cache = folder / "ours", folder / "cache"
    train = _load(*OURS, f"data.root={root}", f"data.cache_dir={cache}").train
    ((shown, held_out),) = stratified_folds(train.labels, 1, 42, train.groups)
    for part, rows in (("train", shown), ("val", held_out), ("all", np.arange(len(train)))):
        for row in rows:
            _link(root, folder / "peers" / part, train.files[train.rows[row]])
    for path in sorted((root / "test").rglob("*.*")):
        _link(root, folder / "peers" / "test", str(path.relative_to(root)))


def _load(*words: str) -> Splits:
    with initialize_config_dir(CONF):
        return load_splits(compose("train", list(words)).data)


def _save(pages: ImageSet, folder: Path) -> None:
    for number, row in enumerate(pages.rows):
        path = folder / pages.classes[pages.targets[row]] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pages.pixels[row]).save(path, quality=90)


def _link(root: Path, part: Path, name: str) -> None:
    path = part / Path(name).parent.name / Path(name).name
    path.parent.mkdir(parents=True, exist_ok=True)
    os.link(root / name, path)
