"""What ends trials in a replay: Optuna's pruners as presets have them, and rivals.

A rule is asked after every epoch. Most are Optuna's pruners; i-Epoch (arXiv:2404.04111) stops all
trials after the same number of epochs, and trains the best few of them to the end.
"""

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

from doctune.study.pruners import Hyperband

# As `fast` has them; of fewer than 20 trials a quarter start without being pruned.
STARTUP, PATIENCE = 5, 3


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
    # Share of the trials that nothing may end.
    let_through: float = 0.0


def rules(folds: int, epochs: int, trials: int) -> list[Rule]:
    """Return the rules that are compared on so many trials of so many folds and epochs."""
    steps = folds * epochs
    startup = min(STARTUP, trials // 4)
    fold = epochs  # warm-ups that end with a fold
    return [
        Rule("nothing is pruned", NopPruner()),
        *(
            Rule(f"median, warm-up {warmup}", MedianPruner(startup, warmup))
            for warmup in sorted({1, PATIENCE, fold - 1, fold, 2 * fold - 1})
        ),
        Rule(
            f"median, warm-up {PATIENCE}, 10 % let through",
            MedianPruner(startup, PATIENCE),
            let_through=0.1,
        ),
        Rule(f"best quarter, warm-up {PATIENCE}", PercentilePruner(25, startup, PATIENCE)),
        Rule(
            f"patient {PATIENCE} (median)",
            PatientPruner(MedianPruner(startup), PATIENCE),
        ),
        Rule("successive halving by 3", SuccessiveHalvingPruner(fold, 3)),
        Rule("Hyperband by 3", Hyperband(min_resource=fold, max_resource=steps)),
        Rule("Wilcoxon over folds", WilcoxonPruner(p_threshold=0.2), by_fold=True),
        *(
            Rule(f"i-Epoch: {pause} of {steps} epochs", NopPruner(), pause)
            for pause in sorted({1, PATIENCE, fold})
        ),
    ]


def quiet() -> None:
    """Let Optuna say nothing of what is experimental, nor of each trial."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
