"""What a study's trials add up to, so that a look at a long study costs what is new in it.

A finished trial never changes. So each is looked at once, and what counts trials, or looks for
those that wait or were lost, takes the sums and the few that are not finished.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from doctune.study.study import used_up_by, was_interrupted

# What trials of the same parameters have in common.
ParamsKey = frozenset[tuple[str, bool, Any]]


class Tally:
    """Sums over one study, kept from look to look.

    Attributes:
        by_state: finished trials by state; interrupted ones are left out, as they run again.
        not_continued: numbers of interrupted trials that no other one continues.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.by_state = dict.fromkeys(TrialState, 0)
        self.not_continued: set[int] = set()
        self._continued: set[int] = set()
        self._seen = 0
        # Numbers of those that were not finished.
        self._open: set[int] = set()
        self._by_params: dict[ParamsKey, list[int]] = {}

    def look(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Take in what is new; return the trials that have ended since the last look.

        Args:
            trials: all of the study, by their numbers.
        """
        if len(trials) < self._seen:
            # Another study.
            self._begin()
        ended = []
        for number in (*sorted(self._open), *range(self._seen, len(trials))):
            trial = trials[number]
            if number >= self._seen:
                self._note_first(trial)
            if trial.state.is_finished():
                self._open.discard(number)
                self._note_end(trial)
                ended.append(trial)
            else:
                self._open.add(number)
        self._seen = len(trials)
        return ended

    def _note_first(self, trial: FrozenTrial) -> None:
        continues = trial.user_attrs.get("continues")
        if continues is not None:
            self._continued.add(continues)
            self.not_continued.discard(continues)

    def _note_end(self, trial: FrozenTrial) -> None:
        if was_interrupted(trial):
            # One that has got no parameters yet is not continued.
            params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
            if params and trial.number not in self._continued:
                self.not_continued.add(trial.number)
            return
        self.by_state[trial.state] += 1
        self._by_params.setdefault(_key(trial.params), []).append(trial.number)

    def unfinished(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the trials that wait or run, by their numbers; `trials` as at the last look."""
        return [trials[number] for number in sorted(self._open)]

    def alike(self, params: Mapping[str, Any]) -> list[int]:
        """Return the numbers of the finished trials that have these parameters."""
        return sorted(self._by_params.get(_key(params), ()))

    def finished(self, count_failed: bool) -> int:
        """Count the trials that use up `n_trials`."""
        return sum(self.by_state[state] for state in used_up_by(count_failed))


def _key(params: Mapping[str, Any]) -> ParamsKey:
    # In Python true equals 1; a job may do something else with it.
    return frozenset((name, isinstance(value, bool), value) for name, value in params.items())
