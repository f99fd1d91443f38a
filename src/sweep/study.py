"""The study that a search works on: created or continued, and brought in order first.

A process that dies leaves its trials RUNNING in the storage. The next one to open the study
finds them by their owner (host, process id and the time that process started), ends them as
FAIL with `interrupted` set, and queues the same parameters again.
"""

import json
import logging
import os
import socket
from typing import Any, Literal

import optuna
import psutil
from optuna.trial import FrozenTrial, TrialState

from src.sweep.errors import SweepError
from src.sweep.storage import open_storage

log = logging.getLogger(__name__)

# States that use up one of the `n_trials`; FAIL does too unless the trial was interrupted.
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def open_study(
    url: str,
    name: str | None,
    directions: list[Literal["minimize", "maximize"]],
    sampler: optuna.samplers.BaseSampler,
    pruner: optuna.pruners.BasePruner,
    settings: dict[str, Any] | None,
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
    _check_settings(study, settings or {})
    return study


def _check_settings(study: optuna.Study, settings: dict[str, Any]) -> None:
    wanted = json.loads(json.dumps(settings))
    if "settings" not in study.user_attrs:
        study.set_user_attr("settings", wanted)
        return
    before = study.user_attrs["settings"]
    changed = [
        f"{key} was {before.get(key)!r}, now {wanted.get(key)!r}"
        for key in sorted(before.keys() | wanted.keys())
        if before.get(key) != wanted.get(key)
    ]
    if changed:
        raise SweepError(
            f"study '{study.study_name}' cannot go on, its scores would not be comparable: "
            f"{'; '.join(changed)}.\nGo back to the old values, or start another study with "
            "optuna.study_name=NAME"
        )


def claim(study: optuna.Study, trial: optuna.Trial) -> None:
    """Write into the trial which process runs it."""
    me = psutil.Process()
    owner = {"host": socket.gethostname(), "pid": me.pid, "started": me.create_time()}
    trial.set_user_attr("owner", owner)


def requeue_orphans(study: optuna.Study) -> list[int]:
    """End the trials whose process is gone, and queue their parameters again.

    Returns:
        The numbers of those trials.
    """
    orphans = [
        trial
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        if _owner_is_gone(trial)
    ]
    for trial in orphans:
        interrupt(study, trial)
    return [trial.number for trial in orphans]


def interrupt(study: optuna.Study, trial: FrozenTrial) -> None:
    """End a running trial and queue its parameters again, for this or the next process."""
    storage = study._storage
    storage.set_trial_user_attr(trial._trial_id, "interrupted", True)
    study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
    if storage.get_trial(trial._trial_id).state is TrialState.FAIL and trial.params:
        study.enqueue_trial(trial.params, user_attrs={"continues": trial.number})


def _owner_is_gone(trial: FrozenTrial) -> bool:
    owner = trial.user_attrs.get("owner")
    if owner is None or owner["host"] != socket.gethostname() or owner["pid"] == os.getpid():
        return False
    try:
        started = psutil.Process(owner["pid"]).create_time()
    except psutil.NoSuchProcess:
        return True
    return bool(abs(started - owner["started"]) > 1.0)


def counts(study: optuna.Study) -> dict[TrialState, int]:
    """Count the trials by state; interrupted ones are left out, as they run again."""
    found = dict.fromkeys(TrialState, 0)
    for trial in study.get_trials(deepcopy=False):
        if not trial.user_attrs.get("interrupted"):
            found[trial.state] += 1
    return found


def finished(study: optuna.Study) -> int:
    """Count the trials that use up `n_trials`."""
    by_state = counts(study)
    return sum(by_state[state] for state in FINISHED)
