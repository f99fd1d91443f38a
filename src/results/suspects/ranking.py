"""Which labels are probably wrong, from out-of-fold probabilities of several models.

How many is told by confident learning: Northcutt, Jiang & Chuang, "Confident Learning: Estimating
Uncertainty in Dataset Labels", JAIR 2021, arXiv:1911.00068. A model is confident of a class where
its probability is at least the mean of those that it gives to the images labelled so; so a class of
which it is never sure does not lose all its images to one of which it always is. Images that it is
confident are of another class than their label (the confident joint's cells off the diagonal) are
counted; as many as models count on average are suspects.

Which is told by the odds of the label against the likeliest other class, as the logarithm's mean
over models (of one model that is the margin of logits, Pleiss et al., "Identifying Mislabeled Data
using the Area Under the Margin Ranking", NeurIPS 2020, arXiv:2001.10528). The first paper's
normalized margin, a difference of probabilities, puts pages that are hard before labels that are
wrong where models are not very good: what is wrong has a label of nearly no probability, what is
hard has two classes of some.

Written anew rather than taken from the authors' package (cleanlab 2.9): it asks one model, and
brings tqdm and termcolor along for 30 lines. `python -m tests.benchmarks.suspects` compares the
two.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]

# A model is asked that gets at least this share of what the best one gets right. On the built-in
# documents, scikit-learn's digits and a search with weak trials 0.9 and 0.95 were best of 0.8 to 1.
KNOWING = 0.9
# A mean of equal numbers may be above each of them by its rounding.
ROUNDING = 1e-6
# Odds count down to this probability; below, an overconfident model says no more than a sure one.
LEAST = 1e-4


@dataclass(frozen=True)
class Ranking:
    """What models together say of labels.

    Args:
        odds: float64 [N], the logarithm of the odds of an image's label against the likeliest other
            class, the mean over the models; the lower, the more probably wrong.
        suggested: int64 [N], the likeliest other class.
        sure: float64 [N], its mean probability.
        agree: int64 [N], how many models are confident of another class than the label.
        models: how many there are.
        expected: how many labels are wrong by the models' count, the mean over them.
    """

    odds: Floats
    suggested: Ints
    sure: Floats
    agree: Ints
    models: int
    expected: int

    def suspects(self) -> Ints:
        """Return as many images as are expected, the surest first, none that models agree with."""
        order = np.argsort(self.odds, kind="stable")[: self.expected]
        found: Ints = order[self.odds[order] < 0]
        return found


def worth_asking(probabilities: Sequence[Floats], labels: Ints) -> list[int]:
    """Return the places of the models that are asked, in their order.

    What is hard for a model that is much worse than the best looks wrong to it, and a list that it
    has a part in holds pages that are hard.

    Args:
        probabilities: [N, C] of each.
        labels: int64 [N].
    """
    right = [float((shares.argmax(1) == labels).mean()) for shares in probabilities]
    return [place for place, share in enumerate(right) if share >= KNOWING * max(right)]


def rank_labels(probabilities: Sequence[Floats], labels: Ints) -> Ranking:
    """Rank the labels of images by how probably they are wrong.

    Args:
        probabilities: [N, C] of each model, of images that it was not trained on.
        labels: int64 [N], as they were given.
    """
    rows = np.arange(len(labels))
    mean = np.mean([shares.astype(np.float64) for shares in probabilities], axis=0)
    mean[rows, labels] = -np.inf
    suggested = mean.argmax(1).astype(np.int64)
    other = [confident_classes(shares, labels) != labels for shares in probabilities]
    return Ranking(
        odds=np.mean([_log_odds(shares, labels) for shares in probabilities], axis=0),
        suggested=suggested,
        sure=mean[rows, suggested],
        agree=np.sum(other, axis=0, dtype=np.int64),
        models=len(probabilities),
        expected=round(float(np.mean([doubted.sum() for doubted in other]))),
    )


def _log_odds(probabilities: Floats, labels: Ints) -> Floats:
    rows = np.arange(len(labels))
    logs = np.log(probabilities.astype(np.float64) + LEAST)
    own = logs[rows, labels].copy()
    logs[rows, labels] = -np.inf
    odds: Floats = own - logs.max(1)
    return odds


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
