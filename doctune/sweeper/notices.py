"""What a search tells of itself while it runs, once each."""

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from doctune.shown_keys import shown
from doctune.study.expected_gain import ExpectedGain, expected_gain
from doctune.study.pruners import StudyOfPruners
from doctune.study.pruning_safety import PruningSafety, pruning_safety
from doctune.sweeper.display import Display


class Notices:
    """Looks at the study whenever a trial has ended.

    Args:
        study: that is searched.
        display: told.
        stop_when: `StudyKeys.stop_when`.
    """

    def __init__(
        self, study: optuna.Study, display: Display, stop_when: float | None = None
    ) -> None:
        self._shown = StudyOfPruners(study)
        self._maximize = study.directions[0] == StudyDirection.MAXIMIZE
        self._display = display
        self._stop_when = stop_when
        self._has_told = False
        self._looks = self._due = 0
        # What more trials would gain, once that is too little to go on.
        self.enough: ExpectedGain | None = None

    def look(self) -> None:
        """Tell that pruning may do harm, at the first sign of it; see whether it is enough."""
        self._looks += 1
        if self._stop_when is None and (self._has_told or self._looks < self._due):
            return
        trials = self._shown.get_trials(deepcopy=False)
        # A look takes in all trials, and of many one more changes little.
        self._due = self._looks + max(1, len(trials) // 20)
        if not self._has_told:
            self._look_at_pruning(trials)
        if self._stop_when is not None:
            said = expected_gain(trials, self._maximize)
            self.enough = said if said is not None and said.gain < self._stop_when else None

    def _look_at_pruning(self, trials: list[FrozenTrial]) -> None:
        safety = pruning_safety(trials, self._maximize)
        if safety is not None and safety.is_unsafe:
            self._has_told = True
            self._display.tell(unsafe(safety))


def unsafe(safety: PruningSafety) -> str:
    """Say in a line why pruning may do harm, and what to do."""
    what = f"{shown('prune')}=false ends none"
    if safety.has_lost_the_best:
        best = min(safety.let_through, key=lambda number: safety.let_through[number])
        return (
            f"pruning may do harm: trial {best}, which would have been ended and was let through, "
            f"is the best so far; {what}"
        )
    if safety.chance > 0.5:
        return (
            "pruning may do harm: had they gained what complete trials did, one of those that "
            f"were ended would be the best with {safety.chance:.0%}; {what}"
        )
    return (
        f"pruning may do harm: after report {safety.step + 1}, where half were ended, the order of "
        f"{safety.complete} complete trials is no better than chance (Kendall's tau "
        f"{safety.tau:+.2f}); {what}"
    )
