"""Trials that were interrupted: ended, and queued again with the same parameters, once.

Whatever kills a process leaves its trials RUNNING in the storage. The next process to look finds
them by their owner and heartbeat. An interrupted trial ends as FAIL with `interrupted` set and
does not count; a new one with `continues` and the same parameters takes its place. Ending and
queueing are two steps, and the second is made up for when a process dies between them. All of it
happens under the study's lock.
"""

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState, create_trial

from src.sweep.studies.ownership import Owner, Watch
from src.sweep.studies.study import was_interrupted

# What a trial hands on to the one that continues it.
HANDED_ON = (
    *("defaults", "from_study", "repeat", "attempts"),
    *("curves", "losses", "seconds_of_folds"),
)
# What Optuna's grid sampler writes into a trial.
OF_GRIDS = ("grid_id", "search_space")


def requeue_orphans(
    study: optuna.Study, watch: Watch, me: Owner, in_flight: set[int]
) -> list[FrozenTrial]:
    """End the trials that no process runs any more, and queue their parameters again.

    Args:
        study: what is looked through.
        watch: knows which processes live.
        me: this process.
        in_flight: the numbers of the trials that it really runs; others that carry its name were
            lost to an error between being created and being started.

    Returns:
        The trials that were ended now.
    """
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    orphans = [
        trial
        for trial in running
        if watch.is_gone(trial)
        or (trial.user_attrs.get("owner") == me and trial.number not in in_flight)
    ]
    for trial in orphans:
        interrupt(study, trial)
    requeue_interrupted(study)
    return orphans


def interrupt(study: optuna.Study, trial: FrozenTrial) -> None:
    """End a running trial as interrupted; nothing happens if it is finished by now."""
    storage = study._storage
    try:
        storage.set_trial_user_attr(trial._trial_id, "interrupted", True)
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    except UpdateFinishedTrialError:
        return


def requeue_interrupted(study: optuna.Study) -> None:
    """Queue the parameters of every interrupted trial that no other one continues yet."""
    trials = study.get_trials(deepcopy=False)
    continued = {trial.user_attrs.get("continues") for trial in trials}
    for trial in trials:
        if not was_interrupted(trial) or trial.number in continued:
            continue
        params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        if params:
            handed_on = {
                name: trial.user_attrs[name] for name in HANDED_ON if name in trial.user_attrs
            }
            system_attrs = {
                name: trial.system_attrs[name] for name in OF_GRIDS if name in trial.system_attrs
            }
            study.add_trial(
                create_trial(
                    state=TrialState.WAITING,
                    system_attrs={**system_attrs, "fixed_params": params},
                    user_attrs={**handed_on, "continues": trial.number},
                )
            )
