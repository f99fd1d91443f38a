"""What came of a job, told to the study: its values, that it was pruned, or why it failed.

A trial that a passing fault has ended is queued again, and one whose job had no more time keeps
what it has reported.
"""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import optuna
from hydra.core.utils import JobReturn
from optuna.trial import FrozenTrial, TrialState

from doctune.launcher.slurm.submission import JobTimeError
from doctune.study.budget import Budget
from doctune.study.queue import interrupt, requeue_interrupted
from doctune.study.study import values_of
from doctune.sweeper.failures import (
    FailureWindow,
    TrialTimeoutError,
    error_of,
    is_transient,
)

# Why a trial was stopped whose job had no more time, beside what `current_trial` knows.
JOB_TIME = "job_time"
# Characters of an error that are kept with its trial.
MOST_TOLD = 500


@dataclass
class InFlight:
    """A trial that was handed to the launcher."""

    trial: optuna.Trial
    # Because it hangs.
    cancelled: bool = False
    # Because it waited when the search's time was over.
    put_back: bool = False
    # How often it was tried before; kept, as what is told is told again after an outage.
    attempts: int | None = None


class Teller:
    """Tells a study how its trials have ended.

    Args:
        study: that is told.
        budget: how often a trial is tried again, and how long one may take.
        failures: gets the last error, for whoever ends the search for it.
        lock: returns the study's lock.
    """

    def __init__(
        self,
        study: optuna.Study,
        budget: Budget,
        failures: FailureWindow,
        lock: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._study, self._budget = study, budget
        self._failures, self._lock = failures, lock

    def end_of_job(self, entry: InFlight, future: "Future[JobReturn]", *, stopping: bool) -> None:
        """Tell what a job has come to.

        The job may have told its result itself, or another process may have taken the trial over.

        Args:
            entry: the trial of the job.
            future: done.
            stopping: the search ends, and errors with it; trials are handed on elsewhere.
        """
        error = future.exception() or error_of(future.result())
        if isinstance(error, optuna.TrialPruned):
            self.tell(entry.trial, None, TrialState.PRUNED)
        elif error is None:
            self._complete(entry, future.result()._return_value)
        elif self._frozen(entry.trial).state.is_finished():
            return
        elif entry.cancelled:
            self._fail(entry, TrialTimeoutError(self._budget.trial_timeout or 0.0))
        elif entry.put_back:
            self._put_back(entry.trial)
        elif isinstance(error, JobTimeError) and self._frozen(entry.trial).intermediate_values:
            entry.trial.set_user_attr("stopped", JOB_TIME)
            self.tell(entry.trial, None, TrialState.PRUNED)
        elif not stopping:
            self._fail(entry, error)

    def tell(self, trial: optuna.Trial, values: list[float] | None, state: TrialState) -> None:
        """Tell a trial's end, unless it is told already.

        Args:
            trial: that has ended.
            values: one an objective; None unless it is complete.
            state: it ends in.
        """
        try:
            self._study.tell(trial, values, state, skip_if_finished=True)
        except Exception:
            # A grid sampler that has run out asks to stop, and knows nothing of queued trials;
            # outside of Study.optimize both are errors, after the trial has been told.
            if not self._frozen(trial).state.is_finished():
                raise

    def _complete(self, entry: InFlight, returned: Any) -> None:
        try:
            values = values_of(returned, len(self._study.directions))
        except ValueError as error:
            if not self._frozen(entry.trial).state.is_finished():
                self._fail(entry, error)
            return
        self.tell(entry.trial, values, TrialState.COMPLETE)

    def _fail(self, entry: InFlight, error: BaseException) -> None:
        """End a trial as failed; after a fault that may be gone next time it runs again."""
        trial = entry.trial
        lines = str(error).strip().splitlines() or [""]
        trial.set_user_attr("error", f"{type(error).__name__}: {lines[0]}"[:MOST_TOLD])
        if entry.attempts is None:
            entry.attempts = int(trial.user_attrs.get("attempts", 0))
        if is_transient(error) and entry.attempts < self._budget.retries:
            trial.set_user_attr("attempts", entry.attempts + 1)
            self._put_back(trial)
            return
        self._failures.last_error = error
        self.tell(trial, None, TrialState.FAIL)

    def _put_back(self, trial: optuna.Trial) -> None:
        """End a trial as interrupted, queued again."""
        with self._lock():
            interrupt(self._study, self._frozen(trial))
            requeue_interrupted(self._study)

    def _frozen(self, trial: optuna.Trial) -> FrozenTrial:
        return self._study._storage.get_trial(trial._trial_id)
