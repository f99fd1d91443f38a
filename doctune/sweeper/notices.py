"""What a search tells of itself while it runs, once each."""

import optuna
from optuna.study import StudyDirection

from doctune.shown_keys import shown
from doctune.study.pruners import StudyOfPruners
from doctune.study.pruning_safety import PruningSafety, pruning_safety
from doctune.sweeper.display import Display


class Notices:
    """Looks at the study whenever a trial has ended.

    Args:
        study: that is searched.
        display: told.
    """

    def __init__(self, study: optuna.Study, display: Display) -> None:
        self._study = study
        self._shown = StudyOfPruners(study)
        self._display = display
        self._has_told = False

    def look(self) -> None:
        """Tell that pruning may do harm, at the first sign of it."""
        if self._has_told:
            return
        maximize = self._study.directions[0] == StudyDirection.MAXIMIZE
        safety = pruning_safety(self._shown.get_trials(deepcopy=False), maximize)
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
