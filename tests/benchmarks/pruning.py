"""What each pruner saves and what it costs, on curves that were trained once without pruning:

    python -m src.train -m hparams_search=fast pruning.enabled=false optuna.study_name=unpruned
    python -m tests.benchmarks.pruning sqlite:///multirun/optuna.db unpruned

Every pruner of `conf/hydra/sweeper/pruner` that is asked after each epoch sees the same trials in
the order of the study and in 20 random orders; `tests/benchmarks/curves` has `promoted` as well.
Lost is by how much the best score that is left is below the best of all.
"""

import random
import sys
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import optuna
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

from doctune.study.pruners import make_pruner
from src.before import config as config
from src.hardware import profile as profile
from tests.conftest import CONF

CHOICES = [
    *(("patient", patience) for patience in (3, 1)),
    *((name, 3) for name in ("median", "percentile")),
]
RANDOM_ORDERS = 20

Curve = Sequence[float]


def main(url: str, name: str) -> None:
    """Print the table for a study without pruned trials."""
    study = optuna.load_study(study_name=name, storage=url)
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    curves = [list(trial.intermediate_values.values()) for trial in complete]
    orders = [curves]
    for seed in range(RANDOM_ORDERS):
        orders.append(random.Random(seed).sample(curves, len(curves)))
    table = Table(title=f"{len(curves)} trials of {len(curves[0])} epochs", box=None)
    for column in ("pruner", "patience", "saved", "in random orders", "lost", "at most"):
        table.add_column(column, justify="left" if column == "pruner" else "right")
    for choice, patience in CHOICES:
        saved, lost = zip(*(replay(order, choice, patience) for order in orders), strict=True)
        table.add_row(
            *(choice, str(patience), f"{saved[0]:.0%}", f"{fmean(saved[1:]):.0%}"),
            *(f"{fmean(lost):.4f}", f"{max(lost):.4f}"),
        )
    Console().print(table)


def replay(curves: Sequence[Curve], choice: str, patience: int) -> tuple[float, float]:
    """Return the share of epochs that a pruner saves, and what the best score loses."""
    study = optuna.create_study(direction="maximize", pruner=pruner(choice, patience))
    finals = []
    for curve in curves:
        trial = study.ask()
        for step, value in enumerate(curve):
            trial.report(value, step)
            if step + 1 < len(curve) and trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, curve[-1])
            finals.append(curve[-1])
    trained = sum(len(trial.intermediate_values) for trial in study.trials)
    best = max(curve[-1] for curve in curves)
    return 1 - trained / sum(map(len, curves)), best - max(finals)


def pruner(choice: str, patience: int) -> optuna.pruners.BasePruner:
    """Make a pruner as `hparams_search=fast` would."""
    words = ["hparams_search=fast", f"hydra/sweeper/pruner={choice}"]
    with initialize_config_dir(CONF):
        cfg: Any = compose(
            "train", [*words, f"pruning.patience={patience}"], return_hydra_config=True
        )
    HydraConfig.instance().set_config(cfg)
    return make_pruner(cfg.hydra.sweeper.pruner)


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    main(*sys.argv[1:3])
