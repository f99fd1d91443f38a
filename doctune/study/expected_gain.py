"""What more trials are expected to gain, from how the best so far lie apart.

The scores of the best few are taken for the tail of a distribution above the next one, which is
nearly a generalized Pareto one whatever the scores are (peaks over a threshold: Pickands 1975).
Few scores do not tell its shape, so all shapes count, from an exponential tail to one that ends
like a wall, each as it explains them. A trial comes past the best with the chance that the tail
gives, and by how much follows from it as well. That holds as long as trials to come are like those
before; docs/scores.md has how far it is from what came.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from optuna.trial import FrozenTrial, TrialState

# Trials that are looked ahead.
AHEAD = 10
# With fewer trials that ended, or that are complete, nothing is said: the best few still are of
# all kinds, and much too much would be expected.
ENOUGH, ENOUGH_COMPLETE = 15, 8
# Of the best, so many make the tail: an eighth of the trials, within these.
FEWEST, MOST = 3, 6
# Shapes of a tail that has an end (-1: as likely everywhere, up to it), and one that has none (0).
SHAPES = (-1.0, -0.75, -0.5, -0.25, 0.0)
# Its scale, in mean excesses, and how the integral over what lies beyond the best is taken.
SCALES = np.geomspace(0.3, 5, 60)
NODES, WEIGHTS = np.polynomial.legendre.leggauss(32)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ExpectedGain:
    """What the next trials are expected to add to the best score."""

    ahead: int
    # In the unit of the objective, 0 or more whichever way is better.
    gain: float
    # Chance that any of them comes past the best.
    chance: float


def expected_gain(
    trials: Sequence[FrozenTrial], maximize: bool, ahead: int = AHEAD
) -> ExpectedGain | None:
    """Return what the next trials are expected to gain; None where too few are complete.

    Args:
        trials: of one study, by its first objective; those that were ended early count as no better
            than the best few, others that are not complete do not count.
        maximize: whether a higher value is better.
        ahead: how many trials.
    """
    sign = 1 if maximize else -1
    values = [
        sign * trial.values[0]
        for trial in trials
        if trial.state is TrialState.COMPLETE and math.isfinite(trial.values[0])
    ]
    pruned = sum(trial.state is TrialState.PRUNED for trial in trials)
    if len(values) < ENOUGH_COMPLETE or len(values) + pruned < ENOUGH:
        return None
    return gain_of(values, len(values) + pruned, ahead)


def gain_of(values: Sequence[float], count: int, ahead: int) -> ExpectedGain:
    """Return what `ahead` more draws are expected to add to the highest.

    Args:
        values: of those that were seen to the end, more than `FEWEST`; higher is better.
        count: of all draws.
        ahead: draws to come.
    """
    ranked = sorted(values, reverse=True)
    many = min(max(FEWEST, count // 8), MOST, len(ranked) - 1)
    threshold = ranked[many]
    excess = np.array(ranked[:many]) - threshold
    if excess[-1] < 0 or excess.mean() <= 0:
        return ExpectedGain(ahead, 0.0, 0.0)
    gains, chances, logs = [], [], []
    for shape in SHAPES:
        scales = SCALES * excess.mean()
        beyond = _survival(np.array(excess.max()), shape, scales)
        gains.append(_mean_of_highest(beyond, shape, scales, many / count, ahead))
        chances.append(1 - (1 - many / count * beyond) ** ahead)
        logs.append(_log_likelihood(excess, shape, scales))
    likelihood = np.exp(np.array(logs) - np.max(logs))
    likelihood /= likelihood.sum()
    gain, chance = ((likelihood * each).sum() for each in (gains, chances))
    return ExpectedGain(ahead, float(gain), float(chance))


def _survival(excess: Floats, shape: float, scales: Floats) -> Floats:
    """Return the chance that a draw of the tail is above `excess`, for each scale."""
    if not shape:
        return np.exp(-excess / scales)
    kept: Floats = np.maximum(0.0, 1 + shape * excess / scales) ** (-1 / shape)
    return kept


def _log_likelihood(excess: Floats, shape: float, scales: Floats) -> Floats:
    """Return how well each scale explains the excesses; -inf where one is beyond its end."""
    ratio = excess[:, None] / scales
    with np.errstate(divide="ignore", invalid="ignore"):
        each = -ratio if not shape else -(1 / shape + 1) * np.log(np.maximum(0, 1 + shape * ratio))
    if shape:
        each = np.where(1 + shape * ratio > 0, each, -np.inf)
    return (each - np.log(scales)).sum(0)  # type: ignore[no-any-return]


def _mean_of_highest(
    beyond: Floats, shape: float, scales: Floats, share: float, ahead: int
) -> Floats:
    """Return the mean of the highest of `ahead` draws as far as it is above the best, [scales].

    The integral of 1 - (1 - share S(y)) ** ahead over y above the best, S the survival of the
    tail; taken over t = S(y), from 0 to `beyond`, where dy = scale t ** (-shape - 1) dt.

    Args:
        beyond: survival of the best, for each scale.
        shape: of the tail.
        scales: of the tail.
        share: of draws that are in the tail.
        ahead: how many draws.
    """
    t = beyond[:, None] * (NODES + 1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = (1 - (1 - share * t) ** ahead) * t ** (-shape - 1)
    inside = np.where(t > 0, inside, 0.0)
    return scales * beyond / 2 * (inside @ WEIGHTS)  # type: ignore[no-any-return]
