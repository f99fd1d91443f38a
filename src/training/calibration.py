"""Whether probabilities mean what they say, and the temperature with which they would.

Guo, Pleiss, Sun & Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
arXiv:1706.04599: logits are divided by one number, the temperature, which makes the log loss least
on images that the model was not trained on. The most probable class stays the same.

Of an ensemble the mean of the probabilities is given a temperature, rather than each member its own
(Rahaman & Thiery, "Uncertainty Quantification and Deep Ensembles", NeurIPS 2021, arXiv:2007.08792):
a mean of sure models that differ is less sure than each.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]

# Where a run keeps its temperature.
FILE = "calibration.json"
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


@dataclass(frozen=True)
class Fitted:
    """The temperature of a run or an ensemble, and what it does to images of another split.

    Args:
        temperature: above 1 the model is too sure of itself.
        images: that it was fitted on, of the validation split.
        error: calibration error on the test split, before and after.
        log_loss: likewise.
    """

    temperature: float
    images: int
    error: tuple[float, float]
    log_loss: tuple[float, float]

    @property
    def in_words(self) -> str:
        """Say what it does in a line."""
        return (
            f"probabilities: temperature {self.temperature:.2f} from {self.images} validation "
            f"images; on the test split calibration error {self.error[0]:.3f} -> "
            f"{self.error[1]:.3f}, log loss {self.log_loss[0]:.3f} -> {self.log_loss[1]:.3f}"
        )


def fitted(scores: Floats, labels: Ints, test_scores: Floats, test_labels: Ints) -> Fitted:
    """Fit a temperature on one split and judge it on another.

    Args:
        scores: [N, C], logits or log-probabilities of the validation split.
        labels: int64 [N].
        test_scores: [M, C] of the test split.
        test_labels: int64 [M].
    """
    found = temperature(scores, labels)
    cooled = test_scores.astype(np.float64) / found
    return Fitted(
        temperature=found,
        images=len(labels),
        error=(calibration_error(test_scores, test_labels), calibration_error(cooled, test_labels)),
        log_loss=(log_loss(test_scores, test_labels), log_loss(cooled, test_labels)),
    )


def temperature(scores: Floats, labels: Ints) -> float:
    """Return the temperature with the least log loss; 1 where none is better than as it is.

    N images are no reason to be surer than N right answers in a row allow: their labels count with
    1 / (N + 2) less (Platt, "Probabilistic Outputs for Support Vector Machines", 1999). Without it
    a model that gets all of a small split right would claim to be always right.

    Args:
        scores: [N, C], logits or log-probabilities.
        labels: int64 [N].
    """
    # Imported here, as trials, which import this file, need no temperature: half a second.
    from scipy.optimize import minimize_scalar

    exact = scores.astype(np.float64)
    rows, doubt = np.arange(len(labels)), 1 / (len(labels) + 2)

    def loss(logarithm: float) -> float:
        logs = _log_softmax(exact / np.exp(logarithm))
        return -float((1 - doubt) * logs[rows, labels].mean() + doubt * logs.mean())

    found = float(np.exp(minimize_scalar(loss, bounds=(COLDEST, HOTTEST), method="bounded").x))
    return found if log_loss(exact / found, labels) <= log_loss(exact, labels) else 1.0


def log_loss(scores: Floats, labels: Ints) -> float:
    """Return the mean log loss, natural logarithm; arguments as for `temperature`."""
    logs = _log_softmax(scores)
    return -float(logs[np.arange(len(labels)), labels].mean())


def calibration_error(scores: Floats, labels: Ints) -> float:
    """Return the expected calibration error of the most probable class.

    The mean over `BINS` of equal width, weighted by their images, of how far the mean probability
    is from the share that is right; as torchmetrics has it, without torch, which a report needs for
    nothing else.
    """
    probabilities = np.exp(_log_softmax(scores))
    sure, right = probabilities.max(1), probabilities.argmax(1) == labels
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, sure - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))


def _log_softmax(scores: Floats) -> npt.NDArray[np.float64]:
    """Return log-probabilities [N, C] of logits or log-probabilities."""
    from scipy.special import log_softmax

    found: npt.NDArray[np.float64] = log_softmax(scores.astype(np.float64), axis=1)
    return found
