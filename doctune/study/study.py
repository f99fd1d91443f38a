"""The study that a search works on: created or continued, and what it counts.

What makes the scores of a study comparable, and what to do when it has changed.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, TrialState

from doctune.commands import override, shell_word
from doctune.errors import UserError
from doctune.shown_keys import shown
from doctune.study.storage import open_storage, prunable
from doctune.words import counted, is_worked_out

log = logging.getLogger(__name__)

# What a trial calls those parameters that its job takes from the config.
AS_IN_CONFIG = "as_in_config"
# What the number of the first of several trials is called in those that continue it.
BEGAN_AS = "began_as"
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
    assumed: Mapping[str, Any] | None = None,
) -> optuna.Study:
    """Create the study, or continue the one of that name; arguments as for `check_settings`.

    Raises:
        UserError: the study was made with other directions or other settings.
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
        raise UserError(
            f"study '{study.study_name}' was made with direction {made_with}, now it is "
            f"{directions}; go back, or start another with {shown('study_name')}=NAME"
        )
    check_settings(study, settings or {}, accept_changes, assumed or {})
    return prunable(study)


def check_folder(study: optuna.Study, folder: Path) -> None:
    """Refuse a folder in which the trials of another study would be overwritten.

    Raises:
        UserError: it holds a trial with a number that the study has not given out yet.
    """
    numbers = [int(path.parent.name) for path in folder.glob("*/.hydra") if _is_number(path)]
    given_out = len(study.get_trials(deepcopy=False))
    if numbers and max(numbers) >= given_out:
        raise UserError(
            f"{folder} holds trial {max(numbers)} of another study, and study "
            f"'{study.study_name}' has {given_out} so far, so it would be overwritten; move the "
            f"folder away, or start another study with {shown('study_name')}=NAME"
        )


def _is_number(path: Path) -> bool:
    return path.parent.name.isdecimal()


def was_interrupted(trial: FrozenTrial) -> bool:
    """Tell whether a trial ended without a result of its own and runs again as another one."""
    return trial.state is TrialState.FAIL and bool(trial.user_attrs.get("interrupted"))


def counts(trials: Iterable[FrozenTrial]) -> dict[TrialState, int]:
    """Count trials by state; interrupted ones are left out, as they run again."""
    found = dict.fromkeys(TrialState, 0)
    for trial in trials:
        if not was_interrupted(trial):
            found[trial.state] += 1
    return found


def finished(study: optuna.Study, count_failed: bool = True) -> int:
    """Count the trials of a study that use up `n_trials`."""
    return finished_of(study.get_trials(deepcopy=False), count_failed)


def finished_of(trials: Iterable[FrozenTrial], count_failed: bool = True) -> int:
    """Count the trials that use up `n_trials`."""
    return finished_in(counts(trials), count_failed)


def finished_in(by_state: Mapping[TrialState, int], count_failed: bool = True) -> int:
    """Count those of trials that are counted by state already."""
    states = FINISHED if count_failed else FINISHED[:2]
    return sum(by_state[state] for state in states)


def is_complete(name: str, done: int, n_trials: int) -> str:
    """Say that a study has all its trials, and how to go on."""
    has = f"its {counted(done, 'trial')}" if done == n_trials else f"{done} of {n_trials} trials"
    return (
        f"study {name} has {has} already; extend it with {shown('n_trials')}={done + n_trials}, "
        f"or start another with {shell_word(override(shown('study_name'), name + '-2'))}"
    )


def check_settings(
    study: optuna.Study,
    settings: dict[str, Any],
    accept_changes: bool,
    assumed: Mapping[str, Any],
) -> None:
    """Compare `settings` with those that the study remembers; a new study takes them on.

    Settings that only one side has are taken on too: an older study knows nothing of them, unless
    it is known what they were then.

    Args:
        study: new, or made under settings of its own.
        settings: name -> JSON value.
        accept_changes: the user wants old and new scores side by side.
        assumed: values of settings in studies that do not know them.

    Raises:
        UserError: shows the difference, and the ways out.
    """
    wanted = json.loads(json.dumps(settings))
    if not accept_changes:
        _refuse_changes(study, wanted, assumed)
    before = study.user_attrs.get("settings", {})
    if before != {**before, **wanted}:
        study.set_user_attr("settings", {**before, **wanted})


def check_quick_settings(
    study: optuna.Study, settings: DictConfig, assumed: Mapping[str, Any]
) -> None:
    """Compare those settings that take no time to know; `check_settings` compares all of them.

    Args:
        study: made under settings of its own.
        settings: a node of the config, not resolved.
        assumed: as in `check_settings`.

    Raises:
        UserError: shows the difference, and the ways out.
    """
    raw: Any = OmegaConf.to_container(settings, resolve=False)
    quick = {key: settings[key] for key, value in raw.items() if not is_worked_out(value)}
    plain = {
        key: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
        for key, value in quick.items()
    }
    _refuse_changes(study, json.loads(json.dumps(plain)), assumed)


def _refuse_changes(
    study: optuna.Study, wanted: Mapping[str, Any], assumed: Mapping[str, Any]
) -> None:
    remembered = study.user_attrs.get("settings", {})
    # A new study remembers nothing yet.
    before = {**assumed, **remembered} if remembered else {}
    changed = [
        f"  {key} was {before[key]!r}, now {wanted[key]!r}"
        for key in sorted(before.keys() & wanted.keys())
        if before[key] != wanted[key]
    ]
    if changed:
        differences = "\n".join(changed)
        raise UserError(
            f"study '{study.study_name}' cannot go on, its scores would not be comparable:\n"
            f"{differences}\n"
            f"Go back to the old values, or start another study with {shown('study_name')}=NAME. "
            f"(If you know that scores stay comparable: {shown('accept_changes')}=true.)"
        )
