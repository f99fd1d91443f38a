"""The study that a search works on: created or continued, and what it counts."""

import logging
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from src.sweep.commands import override, shell_word
from src.sweep.errors import SweepError
from src.sweep.studies.comparable import check_settings
from src.sweep.studies.several_objectives import prunable
from src.sweep.studies.storage import open_storage
from src.sweep.trial_words import counted

log = logging.getLogger(__name__)

# States that use up one of the `n_trials`.
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def open_study(
    url: str,
    name: str | None,
    directions: list[Literal["minimize", "maximize"]],
    sampler: optuna.samplers.BaseSampler,
    pruner: optuna.pruners.BasePruner,
    settings: dict[str, Any] | None,
    accept_changes: bool = False,
) -> optuna.Study:
    """Create the study, or continue the one of that name.

    Raises:
        SweepError: the study was made with other directions or other settings.
    """
    study = optuna.create_study(
        study_name=name,
        storage=open_storage(url),
        sampler=sampler,
        pruner=pruner,
        directions=directions,
        load_if_exists=True,
    )
    made_with = [direction.name.lower() for direction in study.directions]
    if made_with != directions:
        raise SweepError(
            f"study '{study.study_name}' was made with direction {made_with}, now it is "
            f"{directions}; go back, or start another with optuna.study_name=NAME"
        )
    check_settings(study, settings or {}, accept_changes)
    return prunable(study)


def check_folder(study: optuna.Study, folder: Path) -> None:
    """Refuse a folder in which the trials of another study would be overwritten.

    Raises:
        SweepError: it holds a trial with a number that the study has not given out yet.
    """
    numbers = [int(path.parent.name) for path in folder.glob("*/.hydra") if _is_number(path)]
    given_out = len(study.get_trials(deepcopy=False))
    if numbers and max(numbers) >= given_out:
        raise SweepError(
            f"{folder} holds trial {max(numbers)} of another study, and study "
            f"'{study.study_name}' has {given_out} so far, so it would be overwritten; move the "
            "folder away, or start another study with optuna.study_name=NAME"
        )


def _is_number(path: Path) -> bool:
    return path.parent.name.isdecimal()


def was_interrupted(trial: FrozenTrial) -> bool:
    """Tell whether a trial ended without a result of its own and runs again as another one."""
    return trial.state is TrialState.FAIL and bool(trial.user_attrs.get("interrupted"))


def counts(study: optuna.Study) -> dict[TrialState, int]:
    """Count the trials by state; interrupted ones are left out, as they run again."""
    found = dict.fromkeys(TrialState, 0)
    for trial in study.get_trials(deepcopy=False):
        if not was_interrupted(trial):
            found[trial.state] += 1
    return found


def finished(study: optuna.Study, count_failed: bool = True) -> int:
    """Count the trials that use up `n_trials`."""
    by_state = counts(study)
    states = FINISHED if count_failed else FINISHED[:2]
    return sum(by_state[state] for state in states)


def is_complete(name: str, done: int, n_trials: int) -> str:
    """Say that a study has all its trials, and how to go on."""
    has = f"its {counted(done, 'trial')}" if done == n_trials else f"{done} of {n_trials} trials"
    return (
        f"study {name} has {has} already; extend it with optuna.n_trials={done + n_trials}, "
        f"or start another with {shell_word(override('optuna.study_name', name + '-2'))}"
    )
