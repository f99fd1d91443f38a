"""How often a search tells that its pruning does harm, where it does and where it does not:

    python -m tests.benchmarks.pruning_safety [SEARCHES]

Drawn learning curves of 20 trials of 9 epochs, pruned by the median rule as `fast` has it. Where a
curve begins has to do with where it ends to a share of 1 (all that can be known is known at once)
down to 0 (nothing); to that comes noise of 0.01 or 0.05 F1. Lost: the best trial's value was more
than 0.005 above that of the best which came to its end.
"""

import sys

import numpy as np
import optuna
from optuna.pruners import MedianPruner
from optuna.trial import TrialState

from doctune.study.pruning_safety import (
    LET_THROUGH,
    PruningSafety,
    is_let_through,
    pruning_safety,
)

TRIALS, EPOCHS = 20, 9
STARTUP, PATIENCE, THROUGH = 5, 3, 0.1
SHARES, NOISES = (1.0, 0.7, 0.4, 0.2, 0.0), (0.01, 0.05)
LOST = 0.005


def curves(seed: int, share: float, noise: float) -> np.ndarray:
    """Return drawn curves [trials, epochs]; the last values are without noise."""
    rng = np.random.default_rng(seed)
    ends = 0.4 + 0.4 * rng.beta(2, 2, TRIALS)
    starts = share * (ends - 0.4) + (1 - share) * rng.uniform(0, 0.4, TRIALS)
    done = np.arange(1, EPOCHS + 1) / EPOCHS
    found: np.ndarray = starts[:, None] * (1 - done) + ends[:, None] * done
    found[:, :-1] += rng.normal(0, noise, (TRIALS, EPOCHS - 1))
    return found


def search(drawn: np.ndarray) -> tuple[float, PruningSafety | None]:
    """Return what pruning has lost, and what the study says of it."""
    study = optuna.create_study(direction="maximize", pruner=MedianPruner(STARTUP, PATIENCE))
    for curve in drawn.tolist():
        trial = study.ask()
        is_safe = False
        for step, value in enumerate(curve):
            trial.report(value, step)
            if step == EPOCHS - 1:
                study.tell(trial, value)
            elif not is_safe and trial.should_prune():
                is_safe = is_let_through(study.get_trials(deepcopy=False), THROUGH)
                if not is_safe:
                    study.tell(trial, state=TrialState.PRUNED)
                    break
                trial.set_user_attr(LET_THROUGH, step)
    lost = float(drawn[:, -1].max()) - study.best_value
    return lost, pruning_safety(study.get_trials(deepcopy=False), maximize=True)


def main(searches: int = 40) -> None:
    """Print a line for each share and noise, and the sum."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    every: list[tuple[bool, bool]] = []
    for share in SHARES:
        for noise in NOISES:
            found = [search(curves(seed, share, noise)) for seed in range(searches)]
            told = [
                (lost > LOST, safety is not None and safety.is_unsafe) for lost, safety in found
            ]
            print(f"share {share:.1f}, noise {noise:.2f}: {_said(told)}", flush=True)
            every += told
    print(f"all: {_said(every)}")


def _said(told: list[tuple[bool, bool]]) -> str:
    of_lost = [is_told for is_lost, is_told in told if is_lost]
    of_others = [is_told for is_lost, is_told in told if not is_lost]
    return (
        f"told in {sum(of_lost)} of {len(of_lost)} searches that lost the best, "
        f"in {sum(of_others)} of {len(of_others)} others"
    )


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
