"""Whether probabilities mean what they say, and the temperature with which they would.

Guo, Pleiss, Sun & Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
arXiv:1706.04599: logits are divided by one number, the temperature, which makes the log loss least
on images that the model was not trained on. The most probable class stays the same.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]

# Of the calibration error: of equal width, as in the paper.
BINS = 15
# Temperatures that are tried, as natural logarithms.
COLDEST, HOTTEST = -3.0, 3.0


@dataclass(frozen=True)
class Calibration:
    """How far probabilities are from the share that is right, before and after.

    Args:
        before: expected calibration error, 0..1.
        after: the same with temperatures that were fitted on the other folds.
        temperature: fitted on all folds; above 1 the model is too sure of itself.
    """

    before: float
    after: float
    temperature: float


def calibration(scores: Floats, labels: Ints, folds: Ints) -> Calibration | None:
    """Return how well a trial is calibrated; None with less than two folds.

    Args:
        scores: [N, C], out-of-fold logits or log-probabilities.
        labels: int64 [N].
        folds: int64 [N], in which fold each image was held out.
    """
    numbers = np.unique(folds)
    if len(numbers) < 2:
        return None
    cooled = np.array(scores, np.float64)
    for fold in numbers:
        mine = folds == fold
        cooled[mine] /= temperature(scores[~mine], labels[~mine])
    return Calibration(
        before=calibration_error(scores, labels),
        after=calibration_error(cooled, labels),
        temperature=temperature(scores, labels),
    )


def temperature(scores: Floats, labels: Ints) -> float:
    """Return the temperature with the least log loss; arguments as for `calibration`."""
    exact = scores.astype(np.float64)
    rows = np.arange(len(labels))

    def loss(logarithm: float) -> float:
        return -float(log_softmax(exact / np.exp(logarithm), axis=1)[rows, labels].mean())

    found = minimize_scalar(loss, bounds=(COLDEST, HOTTEST), method="bounded")
    return float(np.exp(found.x))


def calibration_error(scores: Floats, labels: Ints) -> float:
    """Return the expected calibration error of the most probable class.

    The mean over `BINS` of equal width, weighted by their images, of how far the mean probability
    is from the share that is right.
    """
    probabilities = np.exp(log_softmax(scores.astype(np.float64), axis=1))
    sure, right = probabilities.max(1), probabilities.argmax(1) == labels
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, sure - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))
