"""What makes the scores of a study comparable, and what to do when it has changed."""

import json
from collections.abc import Mapping
from typing import Any

import optuna
from omegaconf import DictConfig, OmegaConf

from src.sweep.errors import SweepError


def check_settings(study: optuna.Study, settings: dict[str, Any], accept_changes: bool) -> None:
    """Compare `settings` with those that the study remembers; a new study takes them on.

    Settings that only one side has are taken on too: an older study knows nothing of them.

    Args:
        study: new, or made under settings of its own.
        settings: name -> JSON value.
        accept_changes: the user wants old and new scores side by side.

    Raises:
        SweepError: shows the difference, and the ways out.
    """
    wanted = json.loads(json.dumps(settings))
    if not accept_changes:
        _refuse_changes(study, wanted)
    before = study.user_attrs.get("settings", {})
    if before != {**before, **wanted}:
        study.set_user_attr("settings", {**before, **wanted})


def check_quick_settings(study: optuna.Study, settings: DictConfig) -> None:
    """Compare those settings that take no time to know; `check_settings` compares all of them.

    Args:
        study: made under settings of its own.
        settings: a node of the config, not resolved.

    Raises:
        SweepError: shows the difference, and the ways out.
    """
    raw: Any = OmegaConf.to_container(settings, resolve=False)
    quick = {key: settings[key] for key, value in raw.items() if not _is_worked_out(value)}
    plain = {
        key: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
        for key, value in quick.items()
    }
    _refuse_changes(study, json.loads(json.dumps(plain)))


def _is_worked_out(value: Any) -> bool:
    """Tell whether a value is `${resolver:...}`, where a colon follows the name."""
    name = str(value).partition("${")[2].partition("}")[0]
    return ":" in name


def _refuse_changes(study: optuna.Study, wanted: Mapping[str, Any]) -> None:
    before = study.user_attrs.get("settings", {})
    changed = [
        f"  {key} was {before[key]!r}, now {wanted[key]!r}"
        for key in sorted(before.keys() & wanted.keys())
        if before[key] != wanted[key]
    ]
    if changed:
        differences = "\n".join(changed)
        raise SweepError(
            f"study '{study.study_name}' cannot go on, its scores would not be comparable:\n"
            f"{differences}\n"
            "Go back to the old values, or start another study with optuna.study_name=NAME. "
            "(If you know that scores stay comparable: optuna.accept_changes=true.)"
        )
