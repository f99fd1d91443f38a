"""A proposal equal to a finished trial is not trained again.

Trials of the same parameters give the same score where a job is seeded, as ours are. A trial
that is meant as a repetition carries the user attribute `repeat` and is trained.
"""

from collections.abc import Iterable

import optuna
from optuna.trial import FrozenTrial, TrialState

# What a trial does not share with its twin: who ran it, and where it came from.
OF_ITS_OWN = (
    *("owner", "runner", "heartbeat", "worker", "trial_deadline", "deadline"),
    *("defaults", "from_study", "attempts", "continues", "duplicate_of"),
)
# Of a study: the keys that any of its searches has fixed; the values are attributes of the trials.
FIXED_KEYS = "fixed_keys"


def note_fixed_keys(study: optuna.Study, keys: Iterable[str]) -> None:
    """Keep with the study which attributes of its trials are values of fixed keys."""
    known = set(study.user_attrs.get(FIXED_KEYS, ()))
    if not known.issuperset(keys):
        study.set_user_attr(FIXED_KEYS, sorted(known.union(keys)))


def finished_twin(study: optuna.Study, trial: optuna.Trial) -> FrozenTrial | None:
    """Return the first finished trial with the parameters of `trial`, if its result can be reused.

    A pruned trial can, when it was the pruner's decision; a failed one runs again.
    """
    if trial.user_attrs.get("repeat"):
        return None
    params, own = trial.params, trial.user_attrs
    keys = study.user_attrs.get(FIXED_KEYS, ())
    for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
        attrs = other.user_attrs
        if other.params != params or attrs.get("repeat"):
            continue
        # Earlier versions have kept them in each trial as well.
        if any(attrs.get(key) != own.get(key) for key in {*keys, *attrs.get("fixed", ())}):
            continue
        if other.state is TrialState.COMPLETE or attrs.get("stopped") == "pruner":
            return other
    return None


def copy_result(study: optuna.Study, trial: optuna.Trial, twin: FrozenTrial) -> None:
    """Give `trial` the curve and the notes of its twin; the state is left to the caller."""
    for step, value in twin.intermediate_values.items():
        study._storage.set_trial_intermediate_value(trial._trial_id, step, value)
    for name, value in twin.user_attrs.items():
        if name not in OF_ITS_OWN and name not in trial.user_attrs:
            trial.set_user_attr(name, value)
    trial.set_user_attr("duplicate_of", twin.number)
