"""What a sweep writes at its end: what the stock sweeper does, and what the app asks for."""

from pathlib import Path
from typing import Any

import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.trial import TrialState

from doctune.errors import UserError
from doctune.named_in_config import call
from doctune.sweeper.display import describe, score
from doctune.words import MOST_LISTED

FILE_NAME = "optimization_results.yaml"


def write_results(
    study: optuna.Study, folder: Path, on_end: str | None, config: DictConfig
) -> None:
    """Write the results of a sweep that has ended, of whatever trials there are.

    Args:
        study: with or without finished trials.
        folder: of the sweep.
        on_end: the name of the app's own function, called with study, folder and config.
        config: of the search.

    Raises:
        UserError: there is no room, or the folder cannot be written to.
    """
    try:
        write_stock_results(study, folder)
        if on_end is not None:
            call("hydra.sweeper.on_end", on_end, study, folder, config)
    except OSError as error:
        raise UserError(
            f"{folder}: the results could not be written ({error}); every trial is in the "
            "study, and the same command writes them"
        ) from error


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


def results_in_words(study: optuna.Study, folder: Path) -> str:
    """Say what was found, as the stock sweeper does at its end, and where it is written.

    Args:
        study: with or without finished trials.
        folder: of the sweep.
    """
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        return "no trial is complete: there are no results"
    one = len(study.directions) == 1
    front = [study.best_trial] if one else study.best_trials
    found = [
        f"{score(trial)} in trial {trial.number}: {describe(trial.params)}"
        for trial in front[:MOST_LISTED]
    ]
    if one:
        lines = [f"best {found[0]}"]
    else:
        more = ["  ..."] if len(front) > len(found) else []
        lines = [f"Pareto front of {len(front)}:", *(f"  {each}" for each in found), *more]
    return "\n".join([*lines, f"results: {folder / FILE_NAME}"])
