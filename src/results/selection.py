"""Which trials together, and how much of each: greedy ensemble selection.

Caruana, Niculescu-Mizil, Crew & Ksikes, "Ensemble selection from libraries of models", ICML 2004:
begin with the best model, then add again and again the one, chosen before or not, with which the
mean of the probabilities scores best. Models that are chosen more often weigh more. The paper's
selection with replacement and its early end are used; both keep it from fitting the noise.

Members of an ensemble are chosen so, and the trials that are asked which labels are wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int64]


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


def weighted_mean(probabilities: Sequence[Floats], weights: Sequence[float]) -> Floats:
    """Return the probabilities [N, C] of several models together."""
    total: Floats = np.average(np.stack(probabilities), axis=0, weights=weights)
    return total
