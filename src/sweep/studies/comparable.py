"""What makes the scores of a study comparable, and what to do when it has changed."""

import json
from typing import Any

import optuna

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
    before = study.user_attrs.get("settings", {})
    changed = [
        f"  {key} was {before[key]!r}, now {wanted[key]!r}"
        for key in sorted(before.keys() & wanted.keys())
        if before[key] != wanted[key]
    ]
    if changed and not accept_changes:
        differences = "\n".join(changed)
        raise SweepError(
            f"study '{study.study_name}' cannot go on, its scores would not be comparable:\n"
            f"{differences}\n"
            "Go back to the old values, or start another study with optuna.study_name=NAME. "
            "(If you know that scores stay comparable: optuna.accept_changes=true.)"
        )
    if before != {**before, **wanted}:
        study.set_user_attr("settings", {**before, **wanted})
