"""What a trial reports while it is cross-validated, and how two trials are compared fairly.

Folds run one after the other. Step `fold * epochs + epoch` means the same fold, cut the same
way, at the same epoch in every trial, so values at a step compare like with like. Reporting
the fold's own score would drop back at every new fold, which a patient pruner takes for
stagnation and a median pruner's best-so-far never notices. Reported is therefore an estimate
of the final mean over folds that moves on smoothly: in the first fold its score; from then on
the mean M of the finished folds' last scores, moved by how much the current fold is ahead of
the finished ones at the same epoch e:

    M + (score - mean over finished folds of their score at e) / (finished folds + 1)

After the last epoch of a fold this is exactly the mean of all finished folds' last scores,
so the last value that a trial reports is its objective.
"""

from statistics import fmean


class RunningScore:
    """The curves of a trial's folds, and the estimate that they give so far."""

    def __init__(self) -> None:
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
        return fmean(self.finals) + (score - at_same_epoch) / (len(self._finished) + 1)

    def restart_fold(self) -> int:
        """Forget the current fold, which is trained anew; return how many epochs it had."""
        epochs = len(self._current)
        self._current = []
        return epochs

    def end_fold(self) -> None:
        """Count the current fold among the finished ones."""
        self._finished.append(self._current)
        self._current = []
