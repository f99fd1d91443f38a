"""`optimization_results.yaml`, which the stock sweeper leaves in the sweep's folder."""

from pathlib import Path
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.trial import TrialState

FILE_NAME = "optimization_results.yaml"


def write_stock_results(study: optuna.Study, folder: Path) -> None:
    """Write the best trial, or the Pareto front, for scripts that read it; none before the first.

    Args:
        study: with or without finished trials.
        folder: of the sweep.
    """
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        return
    results: dict[str, Any] = {"name": "optuna"}
    if len(study.directions) == 1:
        results |= {"best_params": study.best_params, "best_value": study.best_value}
    else:
        front = study.best_trials
        results["solutions"] = [{"params": t.params, "values": t.values} for t in front]
    OmegaConf.save(OmegaConf.create(results), folder / FILE_NAME)
