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

import os
import socket
import time
from typing import Any

import optuna
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig

from doctune import is_trial
from doctune.named_in_config import told_by_key
from doctune.study.ownership import Heartbeat, this_process
from doctune.study.storage import load_study, study_location
from doctune.words import settings_of

PRUNER_WHITELIST = ("optuna.pruners.*",)


class RunningTrial:
    """One trial of a study, while its job runs."""

    def __init__(self, study: optuna.Study, number: int, prune: bool) -> None:
        storage = study._storage
        trial_id = storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
        self.number = number
        self.study = study
        self._single = len(study.directions) == 1
        self._prune = prune
        self._trial = optuna.trial.Trial(study, trial_id)
        attrs = self._trial.user_attrs
        # (seconds since the epoch, what to say when they are over)
        self._deadlines = [
            (attrs[name], reason)
            for name, reason in (("deadline", "timeout"), ("trial_deadline", "trial_timeout"))
            if name in attrs
        ]

    def report(self, value: float, step: int, progress: str = "") -> None:
        """Store an intermediate value, and a few words on how far the trial is."""
        if self._single:
            self._trial.report(value, step)
        else:
            # Optuna's own report refuses several objectives; this is the first one's curve.
            storage = self.study._storage
            storage.set_trial_intermediate_value(self._trial._trial_id, step, value)
        if progress:
            self._trial.set_user_attr("progress", progress)

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
            if time.time() > deadline:
                return reason
        if self._prune and self._should_prune():
            return "pruner"
        return None

    def _should_prune(self) -> bool:
        if self._single:
            return self._trial.should_prune()
        # Optuna's own refuses several objectives; the study is one that pruners can take.
        trial = self.study._storage.get_trial(self._trial._trial_id)
        return self.study.pruner.prune(self.study, trial)

    def raise_if_over(self) -> None:
        """End the job as pruned if its time is over or the pruner says so.

        Raises:
            optuna.TrialPruned: the sweeper counts the trial as PRUNED, Hydra's log shows no error
                when the job hands it on through `pruned_is_no_failure`.
        """
        reason = self.reason_to_stop()
        if reason is not None:
            self.note("stopped", reason)
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


def current_trial() -> RunningTrial | None:
    """Return the trial that this Hydra job runs for, None outside of a search."""
    if not is_trial():
        return None
    hydra = HydraConfig.get()
    sweeper: Any = hydra.sweeper
    url, name = study_location(hydra)
    study = load_study(url, name, pruner=make_pruner(sweeper.pruner))
    trial = RunningTrial(study, hydra.job.num, prune=sweeper.prune)
    trial.note("worker", os.environ.get("WORKER_NAME", socket.gethostname()))
    trial.note_runner(sweeper.heartbeat)
    return trial


def make_pruner(config: DictConfig | None) -> optuna.pruners.BasePruner:
    """Make the pruner that `hydra.sweeper.pruner` describes."""
    if config is None:
        return optuna.pruners.NopPruner()
    with told_by_key("hydra.sweeper.pruner"):
        made: optuna.pruners.BasePruner = instantiate(
            config, _execution_whitelist_=PRUNER_WHITELIST
        )
    return made
