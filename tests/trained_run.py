"""A run that knows three colours, and images of them on disk."""

from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

from src.data.image_set import ImageSet

COLOURS = ("red", "green", "blue")


def coloured(count: int, size: int) -> ImageSet:
    """Return noise with one channel brighter than the others, its class."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 3
    images = rng.integers(0, 60, (count, size, size, 3), dtype=np.uint8)
    for row, label in enumerate(labels):
        images[row, :, :, label] += 120
    return ImageSet(images, labels, COLOURS)


def train_run(folder: Path, *overrides: str, size: int = 32, epochs: int = 4) -> Path:
    """Train a run in this process, and leave what `src.train` leaves."""
    # Every process of a test run imports this file, xdist's own as well, which tests nothing.
    from src.training.evaluate import evaluate, write_run
    from src.training.fit import fit

    folder.mkdir(parents=True)
    words = (f"data.img_size={size}", "data.batch_size=16", "callbacks.progress=false")
    with initialize_config_dir(str(Path(__file__).parents[1] / "conf")):
        cfg = compose(
            "train",
            ["gpu=cpu", "optuna.study_name=none", "optimizer.lr=5e-3", *words, *overrides],
        )
    OmegaConf.save(cfg, folder / "config.yaml", resolve=True)
    images = coloured(90, size)
    result = fit(cfg, images, images, max_epochs=epochs, seed=0, output_dir=folder)
    found = evaluate(result, images, cfg)
    write_run(folder, {"validation": found, "test": found}, images.classes)
    return folder


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run at 32 px; tests write nothing into it but their outputs."""
    return train_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="session")
def sorted_scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 120 images of 32 px, in a folder for each of the three colours."""
    folder = tmp_path_factory.mktemp("sorted")
    images = coloured(120, 32)
    for row, label in enumerate(images.labels):
        where = folder / COLOURS[label]
        where.mkdir(exist_ok=True)
        Image.fromarray(images.images[row]).save(where / f"{row:03d}.png")
    return folder


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 30 images in two folders, `007_green.png` and so on."""
    folder = tmp_path_factory.mktemp("scans")
    (folder / "more").mkdir()
    images = coloured(30, 40)
    for row, label in enumerate(images.labels):
        where = folder / "more" if row % 2 else folder
        Image.fromarray(images.images[row]).save(where / f"{row:03d}_{COLOURS[label]}.png")
    return folder
