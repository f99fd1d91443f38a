"""`search.log`, in the study's folder, and the command line that goes on with the search.

`optimization_results.yaml`, which the stock sweeper leaves in the sweep's folder.
"""

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.trial import TrialState

from doctune.commands import typed_command
from doctune.passwords import without_passwords


@contextlib.contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Send this process's log, Optuna's included, to a file and keep it off the screen."""
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()


def shell_command() -> str:
    """Return the command line of this process as one would type it, without passwords."""
    return typed_command([without_passwords(word) for word in sys.orig_argv])


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
