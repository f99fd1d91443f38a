"""Every trial as a row of figures, for the page's table and its plot of all parameters."""

import statistics
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from doctune.words import key_of, settings_of, short, show
from src.results.plots.axis import in_order
from src.results.summary import Summary
from src.results.under_wear import clean_column, clean_score

# More digits would only make the page larger.
DIGITS = 6
GIB = 2**30
STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}


def all_trials(study: optuna.Study, found: Summary, chosen: FrozenTrial | None) -> dict[str, Any]:
    """Return the trials column by column, with what their parameters are.

    Args:
        study: finished or not.
        found: its summary.
        chosen: the trial to train with.

    Returns:
        `objectives` and `parameters` say what the columns of the same order in `values` and
        `params` hold; all columns are in the order of `number`.
    """
    # Those that wait have nothing to show yet.
    trials = [t for t in study.get_trials(deepcopy=False) if t.state is not TrialState.WAITING]
    settings = [settings_of(trial.params) for trial in trials]
    keys = _keys(trials, found)
    return {
        "objectives": [
            {"name": name, "lower": direction == StudyDirection.MINIMIZE}
            for name, direction in zip(found.objectives, study.directions, strict=True)
        ],
        "parameters": [_parameter(key, trials) for key in keys],
        "chosen": None if chosen is None else chosen.number,
        "defaults": None if found.defaults is None else found.defaults.number,
        "number": [trial.number for trial in trials],
        "state": [state_of(trial) for trial in trials],
        "values": [
            [_rounded(t.values[i]) if t.values else None for t in trials]
            for i, _ in enumerate(study.directions)
        ],
        # Of those that have no score: what they had come to.
        "estimate": [None if t.values else _last(t) for t in trials],
        # On the pages as they are, where the score is under wear.
        "clean": [_rounded(clean_score(trial)) for trial in trials],
        "cleanName": clean_column(found),
        "spread": [spread(trial) for trial in trials],
        "params": [[_plain(each.get(key)) for each in settings] for key in keys],
        "epochs": [t.user_attrs.get("epochs", len(t.intermediate_values)) for t in trials],
        "seconds": [_seconds(trial) for trial in trials],
        "memory": [_gib(trial.user_attrs.get("peak_memory")) for trial in trials],
        "worker": [trial.user_attrs.get("worker") for trial in trials],
    }


def state_of(trial: FrozenTrial) -> str:
    """Return in a word how a trial ended, or that it has not."""
    return "interrupted" if trial.user_attrs.get("interrupted") else STATES[trial.state]


def spread(trial: FrozenTrial) -> float | None:
    """Return the standard deviation of a trial's score over its folds."""
    folds = trial.user_attrs.get("folds") or []
    if trial.state is not TrialState.COMPLETE or len(folds) < 2:
        return None
    return _rounded(statistics.stdev(folds))


def _keys(trials: Sequence[FrozenTrial], found: Summary) -> list[str]:
    """Return what the parameters set, the important ones first."""
    seen = [name for trial in trials for name in trial.params]
    return list(dict.fromkeys(key_of(name) for name in [*found.importances, *dict.fromkeys(seen)]))


def _parameter(key: str, trials: Sequence[FrozenTrial]) -> dict[str, Any]:
    """Describe an axis; parameters that set the same key for several models share one."""
    found = {
        name: distribution
        for trial in trials
        for name, distribution in trial.distributions.items()
        if key_of(name) == key
    }
    choices: list[Any] = []
    for distribution in found.values():
        if isinstance(distribution, CategoricalDistribution):
            choices += [choice for choice in distribution.choices if choice not in choices]
    return {
        "key": key,
        "label": short(key),
        "log": any(getattr(distribution, "log", False) for distribution in found.values()),
        "choices": [show(choice) for choice in in_order(choices)],
    }


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; what is no number is written as the page's tables do."""
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        return show(value)
    return _rounded(value) if isinstance(value, float) else value


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")


def _last(trial: FrozenTrial) -> float | None:
    reported = trial.intermediate_values
    return _rounded(reported[max(reported)]) if reported else None


def _seconds(trial: FrozenTrial) -> float | None:
    seconds = trial.user_attrs.get("train_seconds")
    if seconds is None and trial.duration:
        seconds = trial.duration.total_seconds()
    return None if seconds is None else round(seconds, 1)


def _gib(size: int | None) -> float | None:
    return None if size is None else round(size / GIB, 2)
