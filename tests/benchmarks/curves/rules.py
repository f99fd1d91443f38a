"""What ends trials in a replay: Optuna's pruners as presets have them, and rivals.

A rule is asked after every epoch. Most are Optuna's pruners; i-Epoch (arXiv:2404.04111) stops all
trials after the same number of epochs, and trains the best few of them to the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.pruners import (
    BasePruner,
    MedianPruner,
    NopPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    WilcoxonPruner,
)
from optuna.trial import FrozenTrial

from doctune.study.pruners import Hyperband, PromotedPruner

# As `fast` has them; of fewer than 20 trials a quarter start without being pruned.
STARTUP, PATIENCE = 5, 3


class WithHopeless(BasePruner):
    """The promoted pruner at the end of folds, and within the first one for what is below all.

    Args:
        fold: epochs of a fold.
        early: after so many epochs whoever is below all that went on is ended.
    """

    def __init__(self, fold: int, early: int) -> None:
        self._fold, self._early = fold, early
        self._at_folds, self._within = PromotedPruner(50), PromotedPruner(100)

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Tell whether a trial ends."""
        epochs = (trial.last_step or 0) + 1
        if not epochs % self._fold:
            return self._at_folds.prune(study, trial)
        return epochs == self._early and self._within.prune(study, trial)


class After(BasePruner):
    """The promoted pruner after some epochs alone.

    Args:
        epochs: of a trial.
    """

    def __init__(self, epochs: Sequence[int]) -> None:
        self._epochs, self._promoted = epochs, PromotedPruner(50)

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Tell whether a trial ends."""
        return (trial.last_step or 0) + 1 in self._epochs and self._promoted.prune(study, trial)


@dataclass(frozen=True)
class Rule:
    """One way to end trials early."""

    name: str
    pruner: BasePruner
    # Steps after which every trial pauses; 0: none does. The best of them go on in the end.
    pause: int = 0
    go_on: int = 3
    # Values are reported once a fold, each its own, rather than after every epoch.
    by_fold: bool = False
    # The pruner is asked at the end of folds alone.
    at_rungs: bool = False
    # Share of the trials that would be ended which go on.
    let_through: float = 0.0


UNPRUNED = Rule("nothing is pruned", NopPruner())


def rules(folds: int, epochs: int, trials: int) -> list[Rule]:
    """Return the rules that are compared on so many trials of so many folds and epochs."""
    steps = folds * epochs
    startup = min(STARTUP, trials // 4)
    fold = epochs  # warm-ups that end with a fold
    return [
        UNPRUNED,
        *(
            Rule(f"median, warm-up {warmup}", MedianPruner(startup, warmup))
            for warmup in sorted({1, fold - 1, PATIENCE})
        ),
        Rule(f"best quarter, warm-up {PATIENCE}", PercentilePruner(25, startup, PATIENCE)),
        Rule(f"patient {PATIENCE} (median)", PatientPruner(MedianPruner(startup), PATIENCE)),
        Rule("median of complete, at folds", MedianPruner(1), at_rungs=True),
        Rule("best quarter of complete, at folds", PercentilePruner(25, 1), at_rungs=True),
        *(
            Rule(f"best {share} % of promoted", PromotedPruner(share), at_rungs=True)
            for share in (75, 50, 35, 25)
        ),
        Rule(
            f"best 50 % of promoted, {startup} first",
            PromotedPruner(n_startup_trials=startup),
            at_rungs=True,
        ),
        Rule(
            f"best 50 % of promoted, {startup} first, 10 % through",
            PromotedPruner(n_startup_trials=startup),
            at_rungs=True,
            let_through=0.1,
        ),
        *(
            Rule(f"and who is below all after {early}", WithHopeless(fold, early))
            for early in range(1, min(fold, 3))
        ),
        *(
            Rule(
                f"successive halving by {by}, at folds",
                # With Optuna's steps from 0 the first rung is the end of the first fold.
                SuccessiveHalvingPruner(max(1, fold - 1), by),
                at_rungs=True,
            )
            for by in (3, 4)
        ),
        Rule("Hyperband by 3", Hyperband(min_resource=fold, max_resource=steps)),
        Rule("Wilcoxon over folds", WilcoxonPruner(p_threshold=0.2), by_fold=True),
        *(
            Rule(f"i-Epoch: {pause} of {steps} epochs, best {best}", NopPruner(), pause, best)
            for pause, best in ((1, 3), (fold - 1, 3), (fold, 3), (fold, 2))
        ),
    ]


def rules_in_time() -> list[Rule]:
    """Return the rules that are compared on as many trials of 3 folds of 3 epochs as fit."""
    return [
        UNPRUNED,
        Rule(f"median, warm-up {PATIENCE}", MedianPruner(STARTUP, PATIENCE)),
        *(
            Rule(f"promoted, {first} first", PromotedPruner(n_startup_trials=first), at_rungs=True)
            for first in (1, 2, 3, STARTUP)
        ),
        Rule(
            f"promoted, {STARTUP} first, 10 % through",
            PromotedPruner(n_startup_trials=STARTUP),
            at_rungs=True,
            let_through=0.1,
        ),
        Rule("promoted, 10 % through", PromotedPruner(), at_rungs=True, let_through=0.1),
        *(
            Rule(f"promoted, best {share} %", PromotedPruner(share), at_rungs=True)
            for share in (35, 25)
        ),
        *(Rule(f"and who is below all after {early}", WithHopeless(3, early)) for early in (1, 2)),
        Rule("successive halving by 4, at folds", SuccessiveHalvingPruner(2, 4), at_rungs=True),
    ]


def rules_of_single_split(epochs: int, trials: int) -> list[Rule]:
    """Return the rules that are compared on trials of one split."""
    third, two = epochs // 3, 2 * epochs // 3
    each = range(third, epochs)
    return [
        UNPRUNED,
        *(Rule(f"promoted, after {done}", After([done])) for done in (third, two)),
        Rule(f"promoted, after {third} and {two}", After([third, two])),
        Rule(f"promoted, each from {third} on", After(each)),
        Rule("median of complete, each", MedianPruner(min(STARTUP, trials // 4))),
    ]


def quiet() -> None:
    """Let Optuna say nothing of what is experimental, nor of each trial."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
