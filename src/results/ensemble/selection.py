"""Which members, and how much of each: greedy ensemble selection.

Caruana, Niculescu-Mizil, Crew & Ksikes, "Ensemble selection from libraries of models", ICML 2004:
begin with the best model, then add again and again the one, chosen before or not, with which the
mean of the probabilities scores best. Models that are chosen more often weigh more. The paper's
selection with replacement and its early end are used; both keep it from fitting the noise. How good
members and ensemble are is told on images that no selection has seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from src.data.image_set import ImageSet
from src.data.loader import BatchLoader
from src.inference.trained_model import TrainedModel

Floats = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int64]
# Of the images, to say how sure a score is; percent that the interval covers.
RESAMPLES = 1000
COVERED = 95


@dataclass(frozen=True)
class Selection:
    """Members of an ensemble, by their index among the candidates."""

    # Index -> share of the ensemble; the shares add up to 1.
    weights: dict[int, float]
    # Macro-F1 of the best candidate alone and of the ensemble, on what it was selected on.
    single: float
    ensemble: float


def select_greedily(
    candidates: Sequence[Floats], labels: Labels, *, rounds: int, most_members: int
) -> Selection:
    """Choose from candidates by macro-F1, ties by log loss.

    Args:
        candidates: probabilities [N, C] of each, over the same images.
        labels: int64 [N].
        rounds: choices made; the ensemble ends where the score was highest first.
        most_members: different candidates in it at most.

    Returns:
        The weights; one member alone where no mean is better.
    """
    totals = [probabilities.astype(np.float64) for probabilities in candidates]
    scores = [_score(total, labels) for total in totals]
    chosen = [max(range(len(totals)), key=scores.__getitem__)]
    total = totals[chosen[0]]
    best, best_length = scores[chosen[0]], 1
    single = best
    while len(chosen) < rounds:
        full = len(set(chosen)) >= most_members
        allowed = sorted(set(chosen)) if full else range(len(totals))
        tried = {i: _score((total + totals[i]) / (len(chosen) + 1), labels) for i in allowed}
        step = max(tried, key=tried.__getitem__)
        chosen.append(step)
        total = total + totals[step]
        if tried[step][0] > best[0]:
            best, best_length = tried[step], len(chosen)
    kept = chosen[:best_length]
    weights = {i: kept.count(i) / len(kept) for i in dict.fromkeys(kept)}
    return Selection(weights, single[0], best[0])


def macro_f1(probabilities: Floats, labels: Labels) -> float:
    """Return the mean over all classes of the F1 of the most probable class.

    A class that is neither there nor predicted does not count, as in the runs' own scores.
    scikit-learn takes 20 times as long, which a bootstrap feels.
    """
    count = probabilities.shape[1]
    predicted = probabilities.argmax(1)
    hits = np.bincount(labels[predicted == labels], minlength=count)
    support = np.bincount(labels, minlength=count) + np.bincount(predicted, minlength=count)
    there = support > 0
    return float((2 * hits[there] / support[there]).mean())


def _score(probabilities: Floats, labels: Labels) -> tuple[float, float]:
    of_truth = probabilities[np.arange(len(labels)), labels]
    least = np.finfo(of_truth.dtype).tiny
    return macro_f1(probabilities, labels), float(np.log(np.maximum(of_truth, least)).mean())


@dataclass(frozen=True)
class Gain:
    """A difference of macro-F1, with the interval that holds 95 % of its bootstrap resamples."""

    mean: float
    low: float
    high: float


@torch.inference_mode()
def predict_set(model: TrainedModel, images: ImageSet, batch_size: int, tta: bool) -> Floats:
    """Return the probabilities [N, C] of a set of images, decoded as the model wants them."""
    device = next(model.parameters()).device
    batches = BatchLoader(images, batch_size, shuffle=False)
    found = [model(batch.to(device), tta).cpu() for batch, _ in batches]
    probabilities: Floats = torch.cat(found).numpy()
    return probabilities


def weighted_mean(probabilities: Sequence[Floats], weights: Sequence[float]) -> Floats:
    """Return the ensemble's probabilities [N, C]."""
    total: Floats = np.average(np.stack(probabilities), axis=0, weights=weights)
    return total


def paired_gain(ours: Floats, theirs: Floats, labels: Labels) -> Gain:
    """Compare macro-F1 on the same images, resampled with replacement in pairs.

    Args:
        ours: probabilities [N, C].
        theirs: of what is compared with.
        labels: int64 [N].
    """
    rng = np.random.default_rng(0)
    differences = []
    for _ in range(RESAMPLES):
        rows = rng.integers(0, len(labels), len(labels))
        differences.append(
            macro_f1(ours[rows], labels[rows]) - macro_f1(theirs[rows], labels[rows])
        )
    rest = (100 - COVERED) / 2
    low, high = np.percentile(differences, [rest, 100 - rest])
    return Gain(macro_f1(ours, labels) - macro_f1(theirs, labels), float(low), float(high))
