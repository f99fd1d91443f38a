"""Which trial a process runs next. All of it happens under the study's lock."""

import optuna
from optuna.trial import TrialState, create_trial

from src.sweep.budget import Budget
from src.sweep.studies.ownership import Owner
from src.sweep.studies.study import finished


def trials_to_come(study: optuna.Study, budget: Budget) -> int:
    """Return how many trials may still be started, by any process."""
    running = [
        trial
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        # Others were left by other programs, and perhaps nobody runs them.
        if "owner" in trial.user_attrs
    ]
    return budget.n_trials - finished(study, budget.count_failed) - len(running)


def reserve(study: optuna.Study, owner: Owner) -> optuna.Trial:
    """Take the first trial of the queue, or create one; it belongs to `owner` from the start."""
    storage = study._storage
    # As `Study.ask` does: samplers read the trials once for each proposal.
    study._thread_local.cached_all_trials = None
    for waiting in study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        storage.set_trial_user_attr(waiting._trial_id, "owner", owner)
        if storage.set_trial_state_values(waiting._trial_id, TrialState.RUNNING):
            return optuna.Trial(study, waiting._trial_id)
    fresh = create_trial(state=TrialState.RUNNING, user_attrs={"owner": owner})
    return optuna.Trial(study, storage.create_new_trial(study._study_id, fresh))
