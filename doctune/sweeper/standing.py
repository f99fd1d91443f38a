"""How far a search is: counts, the best so far, and how long it still takes."""

import threading
import time

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from doctune.study.budget import Budget
from doctune.study.tally import Tally
from doctune.words import clock


class Standing:
    """What the screen says of a whole study; a look costs what is new in it.

    Args:
        study: of the search.
        budget: of the search.

    Attributes:
        best: the best complete trial, by the first objective.
        unfinished: the trials that wait or run.
    """

    def __init__(self, study: optuna.Study, budget: Budget) -> None:
        self._study = study
        self._budget = budget
        self._sign = 1 if study.directions[0] == StudyDirection.MAXIMIZE else -1
        self._tally = Tally()
        # Of this run, by the monotonic clock, and what was finished by then.
        self._started, self._done_before = time.monotonic(), 0
        # The screen looks from a thread of its own.
        self._looking = threading.Lock()
        self.best: FrozenTrial | None = None
        self.unfinished: list[FrozenTrial] = []

    def start(self) -> None:
        """Count what an earlier run has finished already."""
        self.look()
        self._started, self._done_before = time.monotonic(), self.done

    def look(self) -> None:
        """Read what is new."""
        with self._looking:
            trials = self._study.get_trials(deepcopy=False)
            for trial in sorted(self._tally.look(trials), key=lambda one: one.number):
                if trial.state is TrialState.COMPLETE and trial.values is not None:
                    self._compare(trial)
            self.unfinished = self._tally.unfinished(trials)

    def _compare(self, trial: FrozenTrial) -> None:
        if self.best is None or self._rank(trial) > self._rank(self.best):
            self.best = trial

    def _rank(self, trial: FrozenTrial) -> tuple[float, int]:
        # Of equal ones the first.
        return self._sign * (trial.values or [0.0])[0], -trial.number

    @property
    def by_state(self) -> dict[TrialState, int]:
        """Return the trials by state; those that were interrupted are left out."""
        found = dict(self._tally.by_state)
        for trial in self.unfinished:
            found[trial.state] += 1
        return found

    @property
    def done(self) -> int:
        """Return how many of the `n_trials` are used up."""
        return self._tally.finished(self._budget.count_failed)

    @property
    def asked_for(self) -> int:
        """Return the `n_trials`."""
        return self._budget.n_trials

    @property
    def time_left(self) -> str:
        """Return the time left as `1:05`, `?` before the first trial of this run ends."""
        estimates = []
        done = self.done
        fresh = done - self._done_before
        if fresh > 0:
            a_trial = (time.monotonic() - self._started) / fresh
            estimates.append(a_trial * max(0, self.asked_for - done))
        until_end = self._budget.seconds_left
        if until_end is not None:
            estimates.append(max(0.0, until_end))
        return clock(min(estimates)) if estimates else "?"
