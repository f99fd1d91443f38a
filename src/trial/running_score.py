"""What a trial reports while it is cross-validated, and how two trials are compared fairly.

Folds run one after the other. Step `fold * epochs + epoch` means the same fold, cut the same
way, at the same epoch in every trial, so values at a step compare like with like. Under
`quick_validation.seconds` trials have different epochs in the same time: there a step is a fold and
an equal share of it, see `share_after`. Reporting
the fold's own score would drop back at every new fold, which a patient pruner takes for
stagnation and a median pruner's best-so-far never notices. Reported is therefore an estimate
of the final mean over folds that moves on smoothly: in the first fold its score; from then on
the mean over the finished folds and the current one, of which it is not known yet where it ends.
Finished folds had the score A on average at the same epoch and M at their end; a fold with the
score s, expected as far from M as s is from A, ends at

    M + (s - A) * min(1, room / room at A)

where room is how far M, and A, are from the end of the metric's range on that side. So it never
leaves the range, as M + (s - A) does: a macro-F1 of 1.2 would keep a trial alive for ever under
a rule that looks at its best value so far. It grows with s, and equals M where s equals A.

After the last epoch of a fold A is M, and the estimate exactly the mean of all finished folds'
last scores, so the last value that a trial reports is its objective.
"""

import math
from statistics import fmean


class RunningScore:
    """The curves of a trial's folds, and the estimate that they give so far.

    Args:
        low: the least that a score can be.
        high: the most.
    """

    def __init__(self, low: float = -math.inf, high: float = math.inf) -> None:
        self._range = low, high
        self._finished: list[list[float]] = []
        self._current: list[float] = []

    @property
    def curves(self) -> list[list[float]]:
        """Return the score after each epoch, for each finished fold."""
        return [list(curve) for curve in self._finished]

    @property
    def all_curves(self) -> list[list[float]]:
        """Return the same, with the fold that is not finished."""
        return [*self.curves, list(self._current)] if self._current else self.curves

    @property
    def finals(self) -> list[float]:
        """Return the last score of each finished fold."""
        return [curve[-1] for curve in self._finished]

    @property
    def epochs(self) -> int:
        """Return how many epochs were trained in all folds."""
        return sum(len(curve) for curve in self._finished) + len(self._current)

    def add(self, score: float) -> float:
        """Take the current fold's score after one more epoch; return the new estimate."""
        self._current.append(score)
        return self.estimate()

    def estimate(self) -> float:
        """Return the estimate of the final mean over folds."""
        if not self._current:
            return fmean(self.finals)
        score, epoch = self._current[-1], len(self._current) - 1
        if not self._finished:
            return score
        at_same_epoch = fmean(curve[epoch] for curve in self._finished)
        expected = _expected_end(score, at_same_epoch, fmean(self.finals), *self._range)
        return fmean([*self.finals, expected])

    def restart_fold(self) -> int:
        """Forget the current fold, which is trained anew; return how many epochs it had."""
        epochs = len(self._current)
        self._current = []
        return epochs

    def end_fold(self) -> None:
        """Count the current fold among the finished ones."""
        self._finished.append(self._current)
        self._current = []


def _expected_end(score: float, others: float, end: float, low: float, high: float) -> float:
    """Return where a fold is expected to end.

    Args:
        score: of the fold at an epoch.
        others: mean of the finished folds at the same epoch.
        end: mean of their last scores.
        low: the least that a score can be.
        high: the most.
    """
    if math.isinf(others):  # a loss that has overflowed tells nothing of what comes
        return score if math.isinf(score) else end
    bound = high if score > others else low
    if math.isinf(bound):
        return end + (score - others)
    if others == bound:  # where score can only be equal
        return end
    share = min(1.0, (bound - end) / (bound - others))
    return min(max(end + (score - others) * share, low), high)


def share_after(epoch: int, epochs: int, shares: int) -> int | None:
    """Return which of equal shares of a fold, from 0, is over after an epoch; None: none new.

    So trials of 2 and of 20 epochs are compared after the same part of their time, and each after
    its last epoch. With as many epochs as shares it is the epoch itself. Of more epochs the first
    counts that ends at or behind the end of a share; of fewer, some shares have no value.

    Args:
        epoch: from 0, of `epochs`.
        epochs: of a fold.
        shares: that all trials have in common.
    """
    over = (epoch + 1) * shares // epochs
    return over - 1 if over > epoch * shares // epochs else None
