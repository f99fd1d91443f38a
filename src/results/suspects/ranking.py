"""Which labels are probably wrong, from out-of-fold probabilities of several models.

Confident learning: Northcutt, Jiang & Chuang, "Confident Learning: Estimating Uncertainty in
Dataset Labels", JAIR 2021, arXiv:1911.00068. A model is confident of a class where its probability
is at least the mean of those that it gives to the images labelled so; so a class of which it is
never sure does not lose all its images to one of which it always is. Images that it is confident
are of another class than their label (the confident joint's cells off the diagonal) are suspects.
They are ranked by that paper's normalized margin, here of the mean over models.

Written anew rather than taken from the authors' package (cleanlab 2.9): it asks one model at a
time, and brings tqdm and termcolor along for 30 lines. `python -m tests.benchmarks.suspects`
compares the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]

# A mean of equal numbers may be above each of them by its rounding.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Ranking:
    """What models together say of labels.

    Args:
        margins: float64 [N], -1..1, the probability of an image's label less that of the likeliest
            other class, the mean over the models; the lower, the more probably wrong.
        suggested: int64 [N], the likeliest other class.
        sure: float64 [N], its mean probability.
        agree: int64 [N], how many models are confident of another class than the label.
        models: how many there are.
    """

    margins: Floats
    suggested: Ints
    sure: Floats
    agree: Ints
    models: int

    def suspects(self) -> Ints:
        """Return the images of which most models suspect the label, the surest first."""
        rows = np.flatnonzero(2 * self.agree > self.models)
        order: Ints = rows[np.argsort(self.margins[rows], kind="stable")]
        return order


def rank_labels(probabilities: Sequence[Floats], labels: Ints) -> Ranking:
    """Rank the labels of images by how probably they are wrong.

    Args:
        probabilities: [N, C] of each model, of images that it was not trained on.
        labels: int64 [N], as they were given.
    """
    mean = np.mean([shares.astype(np.float64) for shares in probabilities], axis=0)
    rows = np.arange(len(labels))
    others = mean.copy()
    others[rows, labels] = -np.inf
    suggested = others.argmax(1).astype(np.int64)
    agree = sum(confident_classes(shares, labels) != labels for shares in probabilities)
    return Ranking(
        margins=mean[rows, labels] - mean[rows, suggested],
        suggested=suggested,
        sure=mean[rows, suggested],
        agree=np.asarray(agree, np.int64),
        models=len(probabilities),
    )


def confident_classes(probabilities: Floats, labels: Ints) -> Ints:
    """Return the class that a model is confident of for each image; its label where there is none.

    Args:
        probabilities: [N, C].
        labels: int64 [N].

    Returns:
        int64 [N]: of the classes that reach their threshold, the likeliest.
    """
    count = probabilities.shape[1]
    rows = np.arange(len(labels))
    own = probabilities[rows, labels].astype(np.float64)
    sizes = np.bincount(labels, minlength=count)
    # A class without images has no threshold, and no image can be taken for it.
    thresholds = np.full(count, np.inf)
    there = sizes > 0
    thresholds[there] = np.bincount(labels, own, count)[there] / sizes[there]
    reached = np.where(probabilities >= thresholds - ROUNDING, probabilities, -np.inf)
    likeliest = reached.argmax(1)
    found: Ints = np.where(np.isfinite(reached[rows, likeliest]), likeliest, labels)
    return found.astype(np.int64)
