"""The study that a search works on: created, continued or found, and what it counts.

A study of several objectives is pruned by the first of them. Optuna refuses that: `Trial.report`
and `Trial.should_prune` raise, and so does what reads `study.direction`, as pruners do, and TPE
once a trial is pruned. What a job reports is the first objective, so its direction is the one that
they ask for.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from doctune.commands import override, shell_word
from doctune.errors import UserError
from doctune.shown_keys import shown
from doctune.study.location import as_typed, is_file, parse_url
from doctune.study.settings import check_settings
from doctune.study.storage import existing_storage, open_storage, try_folder
from doctune.words import counted, did_you_mean

# What a trial calls those parameters that its job takes from the config.
AS_IN_CONFIG = "as_in_config"
# What the number of the first of several trials is called in those that continue it.
BEGAN_AS = "began_as"
# Databases that a study may be in.
SERVERS = ("postgresql", "postgres", "mysql")


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


def existing_study(url: str, name: str) -> optuna.Study | None:
    """Return a study that there is already, None without one; no file is made for it.

    Raises:
        UserError: the storage cannot be, be opened or be reached.
    """
    parsed = parse_url(url)
    if is_file(parsed):
        path = Path(str(parsed.database))
        if not path.exists():
            try:
                try_folder(path.parent)
            except OSError as error:
                raise UserError(
                    f"{as_typed(parsed)}: it cannot be made ({error.strerror})"
                ) from error
            return None
    elif parsed.get_backend_name() not in SERVERS:
        try:
            parsed.get_dialect()
        except Exception as error:
            # Whatever SQLAlchemy raises where there is no such database.
            raise UserError(
                f"{as_typed(parsed)}: this is no storage of studies; "
                "write sqlite:///FILE, postgresql://HOST/DATABASE or journal:///FILE"
            ) from error
    storage = open_storage(url)
    try:
        return optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        return None


def load_study(
    url: str, name: str, storage: BaseStorage | None = None, **kwargs: Any
) -> optuna.Study:
    """Open an existing study; no file is made for it.

    Args:
        url: of its storage.
        name: of the study.
        storage: the same, opened in a way of one's own.
        kwargs: of `optuna.load_study`.

    Raises:
        UserError: the storage has no study of that name; its studies are listed.
    """
    storage = storage or existing_storage(url)
    names: list[str] = []
    if storage is not None:
        try:
            return prunable(optuna.load_study(study_name=name, storage=storage, **kwargs))
        except KeyError:
            names = sorted(optuna.get_all_study_names(storage))
    hint = did_you_mean(name, names) if names else "; it has none yet"
    raise UserError(f"study '{name}' is not in the storage{hint}")


class StudyLedByFirst(optuna.Study):
    """A study whose `direction` is the first objective's; `directions` keeps them all."""

    @property
    def direction(self) -> StudyDirection:
        """Return the direction of what is reported."""
        return self.directions[0]


def prunable(study: optuna.Study) -> optuna.Study:
    """Return the study as pruners and samplers can take it, whatever its objectives."""
    if len(study.directions) == 1:
        return study
    return StudyLedByFirst(study.study_name, study._storage, study.sampler, study.pruner)


def check_folder(study: optuna.Study, folder: Path) -> None:
    """Refuse a folder in which the trials of another study would be overwritten.

    Raises:
        UserError: it holds a trial with a number that the study has not given out yet.
    """
    names = (path.parent.name for path in folder.glob("*/.hydra"))
    numbers = [int(name) for name in names if name.isdecimal()]
    given_out = len(study.get_trials(deepcopy=False))
    if numbers and max(numbers) >= given_out:
        raise UserError(
            f"{folder} holds trial {max(numbers)} of another study, and study "
            f"'{study.study_name}' has {given_out} so far, so it would be overwritten; move the "
            f"folder away, or start another study with {shown('study_name')}=NAME"
        )


def was_interrupted(trial: FrozenTrial) -> bool:
    """Tell whether a trial ended without a result of its own and runs again as another one."""
    return trial.state is TrialState.FAIL and bool(trial.user_attrs.get("interrupted"))


def finished(study: optuna.Study, count_failed: bool = True) -> int:
    """Count the trials of a study that use up `n_trials`; interrupted ones run again as others."""
    trials = study.get_trials(deepcopy=False, states=used_up_by(count_failed))
    return sum(not was_interrupted(trial) for trial in trials)


def used_up_by(count_failed: bool) -> tuple[TrialState, ...]:
    """Return the states of trials that use up one of the `n_trials`."""
    states = (TrialState.COMPLETE, TrialState.PRUNED)
    return (*states, TrialState.FAIL) if count_failed else states


def is_complete(name: str, done: int, n_trials: int) -> str:
    """Say that a study has all its trials, and how to go on."""
    has = f"its {counted(done, 'trial')}" if done == n_trials else f"{done} of {n_trials} trials"
    return (
        f"study {name} has {has} already; extend it with {shown('n_trials')}={done + n_trials}, "
        f"or start another with {shell_word(override(shown('study_name'), name + '-2'))}"
    )


def values_of(returned: Any, n_objectives: int) -> list[float]:
    """Read what a job returned as the values of `n_objectives` objectives.

    Raises:
        ValueError: it is no number, not so many, or NaN.
    """
    try:
        values = [float(returned)] if n_objectives == 1 else [float(value) for value in returned]
    except (TypeError, ValueError):
        raise ValueError(f"the job returned {returned!r}, not {n_objectives} number(s)") from None
    if len(values) != n_objectives:
        raise ValueError(f"the job returned {len(values)} values for {n_objectives} objectives")
    if any(math.isnan(value) for value in values):
        raise ValueError("the job returned NaN")
    return values
