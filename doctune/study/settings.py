"""What makes the scores of a study comparable, and what to do when it has changed."""

import json
from collections.abc import Mapping
from typing import Any

import optuna
from omegaconf import DictConfig, OmegaConf

from doctune.errors import UserError
from doctune.shown_keys import shown
from doctune.words import is_worked_out


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
