"""Optuna with Lightning's pruning callback and the median rule; started twice on one journal."""

import sys

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState
from optuna_integration import PyTorchLightningPruningCallback

from tests.benchmarks.peers.training import BATCHES, noted, setting


def objective(trial: optuna.Trial) -> float:
    """Train one trial."""
    params = {
        "lr": trial.suggest_float("lr", 1e-4, 1e-2, log=True),
        "batch_size": trial.suggest_categorical("batch_size", BATCHES),
        "weight_decay": trial.suggest_float("weight_decay", 0.01, 0.1),
        "drop_rate": trial.suggest_float("drop_rate", 0.01, 0.15),
    }
    pruning = PyTorchLightningPruningCallback(trial, monitor="val/f1")
    return noted(params, [pruning], optuna.TrialPruned)


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trials = int(setting("TRIALS"))
    study = optuna.create_study(
        study_name="alone",
        storage=JournalStorage(JournalFileBackend(f"{setting('OUT')}/journal.log")),
        load_if_exists=True,
        direction="maximize",
        # Two processes with one seed would propose the same first trials.
        sampler=optuna.samplers.TPESampler(seed=int(setting("SEED")) + 1000 * int(sys.argv[1])),
        pruner=optuna.pruners.MedianPruner(),
    )
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    study.optimize(objective, n_trials=trials, callbacks=[MaxTrialsCallback(trials, states=ended)])
