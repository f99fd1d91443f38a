"""The job's side of a trial: found again through the study's storage, from any process.

A job of any Hydra app that is swept by `optuna_async` may do

    trial = current_trial()
    for epoch in range(epochs):
        ...
        trial.report(score, step=epoch)
        trial.raise_if_over()

and is pruned like an objective function inside Optuna. `current_trial()` is None outside
of a search. Raising `optuna.TrialPruned` anywhere in the job has the same effect.
"""

import contextlib
import functools
import os
import socket
import time
from collections.abc import Callable
from typing import Any

import optuna
from hydra.core.hydra_config import HydraConfig
from optuna.storages import BaseStorage

from doctune import is_trial
from doctune.launcher.job.ends import ask_for_end
from doctune.study.location import study_location
from doctune.study.ownership import Heartbeat, runs_here, this_process
from doctune.study.patient import open_patiently
from doctune.study.pruners import NOTES, StudyOfPruners, compares_running, make_pruner
from doctune.study.pruning_safety import BY_PRUNER, LET_THROUGH, STOPPED, is_let_through
from doctune.study.study import load_study, values_of
from doctune.words import settings_of

# Where Slurm and submitit's own processes say which task of a job this is.
RANKS = ("SLURM_PROCID", "SUBMITIT_LOCAL_GLOBALID")
# Trial, and when it was handed out -> when this process has begun with it, by the monotonic clock
# and by the other.
_begun: dict[tuple[int, str], tuple[float, float]] = {}


class RunningTrial:
    """One trial of a study, while its job runs.

    Args:
        study: of the trial.
        number: of the trial.
        prune: whether the study's pruner is asked.
        let_through: share of the trials that it would end which go on.
        curves: opens the study's storage for the pruner, which needs less of the other trials, with
            or without those that run.
    """

    def __init__(
        self,
        study: optuna.Study,
        number: int,
        prune: bool,
        let_through: float = 0.0,
        curves: Callable[[bool], BaseStorage] | None = None,
    ) -> None:
        storage = study._storage
        self._curves = curves or (lambda with_running: storage)
        trial_id = storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
        self.number = number
        self.study = study
        self._single = len(study.directions) == 1
        self._is_at_rung = True
        self._prune = prune
        self._let_through = let_through
        self._trial = optuna.trial.Trial(study, trial_id)
        attrs = self._trial.user_attrs
        # A job may ask for its trial more than once.
        began = trial_id, str(self._trial.datetime_start)
        now = _begun.setdefault(began, (time.monotonic(), time.time()))
        # (by the monotonic clock, which nobody sets; what to say when it is over)
        self._deadlines = []
        if "deadline" in attrs:
            self._deadlines.append((now[0] + attrs["deadline"] - now[1], "timeout"))
        if "trial_seconds" in attrs:
            self._deadlines.append((now[0] + attrs["trial_seconds"], "trial_timeout"))

    def report(self, value: float, step: int, progress: str = "", rung: bool = True) -> None:
        """Store an intermediate value.

        Args:
            value: by the first objective.
            step: at which trials are compared.
            progress: a few words on how far the trial is.
            rung: whether the value is whole, as at the end of a fold; a pruner that decides by
                whole values alone (`PromotedPruner`) is not asked in between.
        """
        self._is_at_rung = rung
        if self._single:
            # A job that was given back reports what it has reported before, for which Optuna warns.
            if int(step) not in self._trial._cached_frozen_trial.intermediate_values:
                self._trial.report(value, step)
        else:
            # Optuna's own report refuses several objectives; this is the first one's curve.
            storage = self.study._storage
            storage.set_trial_intermediate_value(self._trial._trial_id, int(step), float(value))
            self._trial._cached_frozen_trial.intermediate_values[int(step)] = float(value)
        if progress:
            self._trial.set_user_attr("progress", progress)

    def report_again(self, value: float, step: int) -> None:
        """Store a value that the trial had reported before it was interrupted.

        It has passed that step, so the pruner takes note of the value and does not decide.
        """
        self.report(value, step, rung=False)
        if self._prune:
            self._should_prune()

    def note(self, name: str, value: Any) -> None:
        """Keep a fact with the trial (a user attribute; any JSON value)."""
        self._trial.set_user_attr(name, value)

    def noted(self, name: str) -> Any:
        """Return a fact that is kept with the trial, None where there is none."""
        return self._trial.user_attrs.get(name)

    @property
    def searched(self) -> list[str]:
        """Return the config keys that the study has set for this trial."""
        return [key.lstrip("+") for key in settings_of(self._trial.params)]

    def note_runner(self, heartbeat: float) -> None:
        """Write down that this process runs the trial, and show that it lives.

        A job may outlive the process that started it, on Slurm for instance.

        Args:
            heartbeat: seconds between two signs of life.
        """
        runner = this_process()
        self.note("runner", runner)
        if runner["place"] != self._trial.user_attrs.get("owner", {}).get("place"):
            # Until the trial is finished.
            Heartbeat(self.study._storage, heartbeat, [self._trial._trial_id]).start()

    def reason_to_stop(self) -> str | None:
        """Return `pruner`, `timeout` or `trial_timeout` when the trial should end, else None."""
        for deadline, reason in self._deadlines:
            if time.monotonic() > deadline:
                return reason
        if self._may_be_pruned() and self._should_prune() and not self._is_let_through():
            return BY_PRUNER
        return None

    def _may_be_pruned(self) -> bool:
        """Tell whether the pruner is asked: not of the defaults, which others are compared with."""
        waits = getattr(self.study.pruner, "at_rungs", False) and not self._is_at_rung
        # Once a rung: who has passed it is not asked to pass the higher bar of later.
        self._is_at_rung = False
        return self._prune and not waits and not self._trial.user_attrs.get("defaults")

    def _is_let_through(self) -> bool:
        """Tell whether the trial goes on although the pruner would end it, to see what comes."""
        if LET_THROUGH in self._trial.user_attrs:
            return True
        # Those that run count too: several may be let through at a time.
        shown = StudyOfPruners(self.study, self._curves(True))
        if not is_let_through(shown.get_trials(deepcopy=False), self._let_through):
            return False
        trial = self.study._storage.get_trial(self._trial._trial_id)
        self.note(LET_THROUGH, trial.last_step)
        return True

    def _should_prune(self) -> bool:
        # Optuna's own refuses several objectives, and shows pruners what was interrupted as well.
        # What it has reported is known here; only a pruner's own notes are asked for.
        return self.study.pruner.prune(self._shown, self._trial._get_latest_trial())

    @functools.cached_property
    def _shown(self) -> StudyOfPruners:
        return StudyOfPruners(self.study, self._curves(compares_running(self.study.pruner)))

    def raise_if_over(self) -> None:
        """End the job as pruned if its time is over or the pruner says so.

        Raises:
            optuna.TrialPruned: the sweeper counts the trial as PRUNED; a job that has to close
                something first may catch it and raise it again.
        """
        reason = self.reason_to_stop()
        if reason is not None:
            self.note(STOPPED, reason)
            raise optuna.TrialPruned(reason)

    def end_as_pruned(self) -> None:
        """Store the end of a pruned trial, so that it stands even if the sweeper dies now."""
        self.study.tell(self.number, state=optuna.trial.TrialState.PRUNED, skip_if_finished=True)

    def end_as_complete(self, values: float | list[float]) -> None:
        """Store the result of the trial, so that it stands even if the sweeper dies now.

        Raises:
            ValueError: a value is NaN; the sweeper counts the trial as failed.
        """
        state = optuna.trial.TrialState.COMPLETE
        self.study.tell(self.number, values, state, skip_if_finished=True)

    def end_without_search(self, returned: Any, error: Exception | None) -> None:
        """Store the end of a job whose search has perhaps been killed meanwhile.

        One that lives on this machine tells its trials itself. What failed is left to the search,
        or to the next one, which runs it again.

        Args:
            returned: by the job's task.
            error: that it has raised, in place of that.
        """
        if not _is_first_task() or runs_here(self._trial.user_attrs.get("owner", {})):
            return
        if isinstance(error, optuna.TrialPruned):
            self.end_as_pruned()
        elif error is None:
            with contextlib.suppress(ValueError):
                self.end_as_complete(values_of(returned, len(self.study.directions)))


def current_trial() -> RunningTrial | None:
    """Return the trial that this Hydra job runs for, None outside of a search.

    A job that has asked for it keeps its result in the study where its search may be gone by then.
    """
    if not is_trial():
        return None
    hydra = HydraConfig.get()
    sweeper: Any = hydra.sweeper
    url, name = study_location(hydra)
    study = load_study(url, name, open_patiently(url), pruner=make_pruner(sweeper.pruner))
    curves = functools.partial(open_patiently, url, NOTES)
    trial = RunningTrial(study, hydra.job.num, sweeper.prune, sweeper.let_through, curves)
    trial.note("worker", os.environ.get("WORKER_NAME", socket.gethostname()))
    trial.note_runner(sweeper.heartbeat)
    ask_for_end(trial.end_without_search)
    return trial


def _is_first_task() -> bool:
    """Tell whether this is the process that speaks for a job of several tasks."""
    return all(os.environ.get(name, "0") == "0" for name in RANKS)
