"""Which trial a process runs next; what is decided here is decided under the study's lock.

Queued trials come first, among them those that were interrupted. Whatever kills a process leaves
its trials RUNNING in the storage. The next process to look finds them by their owner and heartbeat.
An interrupted trial ends as FAIL with `interrupted` set and does not count; a new one with
`continues` and the same parameters takes its place. Ending and queueing are two steps, and the
second is made up for when a process dies between them.

A proposal equal to a finished trial is not trained again: trials of the same parameters give the
same score where a job is seeded, as ours are. One that is meant as a repetition carries the user
attribute `repeat` and is trained.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState, create_trial

from doctune.study.budget import Budget
from doctune.study.ownership import Owner, Watch
from doctune.study.pruning_safety import LET_THROUGH
from doctune.study.study import AS_IN_CONFIG, BEGAN_AS
from doctune.study.tally import Tally

# What a trial hands on to the one that continues it.
HANDED_ON = (
    *("defaults", AS_IN_CONFIG, "from_study", "repeat", "attempts"),
    *("curves", "losses", "seconds_of_folds", "epochs_in_time", LET_THROUGH),
)
# What Optuna's grid sampler writes into a trial.
OF_GRIDS = ("grid_id", "search_space")
# What a trial does not share with its twin: who ran it, and where it came from.
OF_ITS_OWN = (
    *("owner", "runner", "heartbeat", "worker", "trial_seconds", "deadline"),
    *("defaults", "from_study", "attempts", "continues", BEGAN_AS, "duplicate_of"),
    LET_THROUGH,
)
# Of a study: the keys that any of its searches has fixed; the values are attributes of the trials.
FIXED_KEYS = "fixed_keys"
# States of trials whose result an equal one takes over.
REUSED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass
class Asker:
    """The process that asks for a trial, and what it knows of the others.

    Attributes:
        me: this process.
        watch: knows which processes live.
        in_flight: the numbers of the trials that this process really runs; others that carry its
            name were lost to an error between being created and being started.
        tally: of the study; kept from one question to the next, so that each looks at what is new.
    """

    me: Owner
    watch: Watch
    in_flight: set[int]
    tally: Tally = field(default_factory=Tally)


def next_trial(
    study: optuna.Study, budget: Budget, asker: Asker, attrs: Mapping[str, Any] | None = None
) -> tuple[optuna.Trial | None, list[FrozenTrial]]:
    """Reserve the next trial, after the lost ones are queued again.

    The study is read once where nothing was lost; samplers find there what was read.

    Args:
        study: gets the trial.
        budget: says how many there are.
        asker: gets it.
        attrs: user attributes of it.

    Returns:
        The trial, None when others already run all that is left; the trials that were lost.
    """
    trials, unfinished = _look(study, asker.tally)
    orphans = _orphans(unfinished, asker)
    if orphans or asker.tally.not_continued:
        for trial in orphans:
            interrupt(study, trial)
        requeue_interrupted(study)
        trials, unfinished = _look(study, asker.tally)
    running = [
        trial
        for trial in unfinished
        # Others were left by other programs, and perhaps nobody runs them.
        if trial.state is TrialState.RUNNING and "owner" in trial.user_attrs
    ]
    if budget.n_trials - asker.tally.finished(budget.count_failed) - len(running) <= 0:
        return None, orphans
    waiting = [trial for trial in unfinished if trial.state is TrialState.WAITING]
    # As `Study.ask` does: samplers read the trials once for each proposal.
    study._thread_local.cached_all_trials = trials
    return _take(study, waiting, {"owner": asker.me, **(attrs or {})}), orphans


def fresh_trial(
    study: optuna.Study,
    budget: Budget,
    asker: Asker,
    attrs: Mapping[str, Any],
    lock: Callable[[], AbstractContextManager[None]],
) -> optuna.Trial | None:
    """Create a trial where it is plain that there is room for one, with a lock for that at most.

    The study is read before, as in a fleet that takes longer than all else: what others have done
    meanwhile shows in the new trial's number. One that comes near the end is given up, as whoever
    asks `next_trial` meanwhile may not know of it.

    Args:
        study: gets the trial.
        budget: says how many there are.
        asker: gets it.
        attrs: user attributes of it.
        lock: returns what keeps others from creating one in the same moment.

    Returns:
        The trial; None where trials wait or were lost, or the end is near: ask `next_trial` then.
    """
    trials, unfinished = _look(study, asker.tally)
    running = [trial for trial in unfinished if trial.state is TrialState.RUNNING]
    room = budget.n_trials - asker.tally.finished(budget.count_failed) - len(running)
    is_plain = len(running) == len(unfinished) and not asker.tally.not_continued
    # As many as run may be asked for in this moment.
    kept = max(1, len(running))
    if room <= kept or not is_plain or _orphans(running, asker):
        return None
    with lock():
        trial_id = _create(study, {"owner": asker.me, **attrs})
    study._thread_local.cached_all_trials = trials
    trial = optuna.Trial(study, trial_id)
    if trial.number - len(trials) < room - kept:
        return trial
    interrupt(study, study._storage.get_trial(trial._trial_id))
    return None


def _look(study: optuna.Study, tally: Tally) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
    """Return all trials, and those of them that are not finished."""
    trials = study.get_trials(deepcopy=False)
    tally.look(trials)
    return trials, tally.unfinished(trials)


def reserve(study: optuna.Study, owner: Owner) -> optuna.Trial:
    """Take the first trial of the queue, or create one; it belongs to `owner` from the start."""
    trials = study.get_trials(deepcopy=False)
    study._thread_local.cached_all_trials = trials
    waiting = [trial for trial in trials if trial.state is TrialState.WAITING]
    return _take(study, waiting, {"owner": owner})


def _take(
    study: optuna.Study, waiting: Iterable[FrozenTrial], attrs: Mapping[str, Any]
) -> optuna.Trial:
    storage = study._storage
    for trial in waiting:
        for name, value in attrs.items():
            storage.set_trial_user_attr(trial._trial_id, name, value)
        if storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
            return optuna.Trial(study, trial._trial_id)
    return optuna.Trial(study, _create(study, attrs))


def _create(study: optuna.Study, attrs: Mapping[str, Any]) -> int:
    """Create a trial that runs, in one transaction; return its id."""
    fresh = create_trial(state=TrialState.RUNNING, user_attrs=dict(attrs))
    return study._storage.create_new_trial(study._study_id, fresh)


def _orphans(trials: Iterable[FrozenTrial], asker: Asker) -> list[FrozenTrial]:
    """Return the trials that no process runs any more."""
    return [
        trial
        for trial in trials
        if trial.state is TrialState.RUNNING
        and (
            asker.watch.is_gone(trial)
            or (trial.user_attrs.get("owner") == asker.me and trial.number not in asker.in_flight)
        )
    ]


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
    trials, tally = study.get_trials(deepcopy=False), Tally()
    tally.look(trials)
    for trial in (trials[number] for number in sorted(tally.not_continued)):
        handed_on = {name: trial.user_attrs[name] for name in HANDED_ON if name in trial.user_attrs}
        handed_on[BEGAN_AS] = trial.user_attrs.get(BEGAN_AS, trial.number)
        of_grids = {
            name: trial.system_attrs[name] for name in OF_GRIDS if name in trial.system_attrs
        }
        params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        study.add_trial(
            create_trial(
                state=TrialState.WAITING,
                system_attrs={**of_grids, "fixed_params": params},
                user_attrs={**handed_on, "continues": trial.number},
            )
        )


def note_fixed_keys(study: optuna.Study, keys: Iterable[str]) -> None:
    """Keep with the study which attributes of its trials are values of fixed keys."""
    known = set(study.user_attrs.get(FIXED_KEYS, ()))
    if not known.issuperset(keys):
        study.set_user_attr(FIXED_KEYS, sorted(known.union(keys)))


def finished_twin(
    study: optuna.Study, trial: optuna.Trial, tally: Tally | None = None
) -> FrozenTrial | None:
    """Return the first finished trial with the parameters of `trial`, if its result can be reused.

    A pruned trial can, when it was the pruner's decision; a failed one runs again.

    Args:
        study: of both.
        trial: has its parameters.
        tally: of what was read for the proposal; a twin that ends in this moment is trained twice.
    """
    trials = study._get_trials(deepcopy=False, use_cache=True)
    if tally is None:
        tally = Tally()
        tally.look(trials)
    own = trial.user_attrs
    alike = tally.alike(trial.params)
    if not alike or own.get("repeat"):
        return None
    keys = (AS_IN_CONFIG, *study.user_attrs.get(FIXED_KEYS, ()))
    for other in (trials[number] for number in alike):
        attrs = other.user_attrs
        if other.state not in REUSED or attrs.get("repeat"):
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
