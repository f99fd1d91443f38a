"""Differences between two configurations that were scored on the same folds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class PairedDifference:
    """A mean difference with its confidence interval, and the p-value of "no difference"."""

    mean: float
    low: float
    high: float
    p: float
    pairs: int

    @property
    def is_clear(self) -> bool:
        """Tell whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def corrected_resampled_t(
    differences: Sequence[float], folds: int, tails: int = 2
) -> PairedDifference | None:
    """Compare by the corrected resampled t-test.

    The training sets of the folds overlap, so their scores are not independent and a plain
    t-test finds differences where there are none. Nadeau & Bengio (Machine Learning 52, 2003)
    therefore add the ratio of held-out to training images to 1/n in the variance; Bouckaert &
    Frank (PAKDD 2004) recommend it for repeated k-fold cross-validation. With k folds that ratio
    is 1/(k-1).

    Args:
        differences: one a fold, or one a fold of every repetition.
        folds: k.
        tails: 2 asks for any difference, 1 for one above 0; the interval has two sides always.

    Returns:
        None with less than two differences, as then there is no spread to judge by.
    """
    n = len(differences)
    if n < 2:
        return None
    mean = fmean(differences)
    error = math.sqrt((1 / n + 1 / (folds - 1)) * variance(differences))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * error
    if error == 0:
        p = 1.0 if mean == 0 else 0.0
    else:
        t = mean / error
        p = float(stats.t.sf(t, n - 1) if tails == 1 else 2 * stats.t.sf(abs(t), n - 1))
    return PairedDifference(mean, mean - half, mean + half, p, n)
