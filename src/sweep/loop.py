"""The asynchronous loop: `n_jobs` trials in flight, the next one starts when any ends.

Every slot is a thread that calls the Hydra launcher with a single job, which works with any
launcher. The study is asked and told in the main thread alone.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import optuna
from hydra.core.utils import JobReturn, JobStatus
from optuna.trial import TrialState

from src.sweep.display import Display
from src.sweep.errors import SweepError
from src.sweep.search_space import SearchSpace
from src.sweep.study import claim, finished, interrupt

# Failures are counted over this many trials.
FAILURE_WINDOW = 10

Launch = Callable[[Sequence[str], int], JobReturn]


@dataclass
class Budget:
    """When a search ends."""

    n_trials: int
    n_jobs: int
    # Seconds; None: no limit.
    timeout: float | None
    # Share of the last FAILURE_WINDOW trials.
    max_failure_rate: float
    started: float = field(default_factory=time.time)

    @property
    def deadline(self) -> float | None:
        """Return the time after which nothing starts, in seconds since the epoch."""
        return None if self.timeout is None else self.started + self.timeout

    @property
    def time_is_over(self) -> bool:
        """Tell whether the deadline has passed."""
        return self.deadline is not None and time.time() >= self.deadline


class AsyncLoop:
    """Asks, launches and tells until the budget is used up."""

    def __init__(
        self,
        study: optuna.Study,
        space: SearchSpace,
        launch: Launch,
        budget: Budget,
        display: Display,
        extend: Callable[[optuna.Trial], None] | None = None,
    ) -> None:
        self._study = study
        self._space = space
        self._launch = launch
        self._budget = budget
        self._display = display
        self._extend = extend
        self._failed: deque[bool] = deque(maxlen=FAILURE_WINDOW)
        self._in_flight: dict[Future[JobReturn], optuna.Trial] = {}
        self._stopping = False
        self.last_error: BaseException | None = None

    def run(self) -> None:
        """Run until `n_trials` are finished, the time is over or too many trials failed.

        Raises:
            SweepError: more trials failed than `max_failure_rate` allows.
        """
        slots = ThreadPoolExecutor(self._budget.n_jobs, thread_name_prefix="slot")
        try:
            while not self._stopping:
                self._fill(slots)
                if not self._in_flight:
                    return
                self._collect()
        finally:
            slots.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        """Start nothing more, and hand the trials in flight to the next run."""
        self._stopping = True

    def release(self) -> list[int]:
        """End the trials in flight as interrupted, queued again; return their numbers."""
        released = []
        for trial in self._in_flight.values():
            frozen = self._study._storage.get_trial(trial._trial_id)
            if not frozen.state.is_finished():
                interrupt(self._study, frozen)
                released.append(trial.number)
        self._in_flight.clear()
        return released

    def _fill(self, slots: ThreadPoolExecutor) -> None:
        while len(self._in_flight) < self._budget.n_jobs and not self._budget.time_is_over:
            if finished(self._study) + len(self._in_flight) >= self._budget.n_trials:
                return
            trial = self._ask()
            overrides = self._space.job_overrides(trial.params)
            self._in_flight[slots.submit(self._launch, overrides, trial.number)] = trial
            self._display.trial_started(trial.number, trial.params)

    def _ask(self) -> optuna.Trial:
        trial = self._study.ask(self._space.distributions)
        claim(self._study, trial)
        if self._budget.deadline is not None:
            trial.set_user_attr("deadline", self._budget.deadline)
        for key, value in self._space.fixed.items():
            trial.set_user_attr(key, value)
        if self._extend is not None:
            self._extend(trial)
        return trial

    def _collect(self) -> None:
        done, _ = wait(self._in_flight, timeout=0.2, return_when=FIRST_COMPLETED)
        for future in done:
            trial = self._in_flight.pop(future)
            self._finish(trial, future)
            frozen = self._study._storage.get_trial(trial._trial_id)
            self._display.trial_finished(frozen)
            self._failed.append(frozen.state is TrialState.FAIL)
        self._check_failures()

    def _finish(self, trial: optuna.Trial, future: "Future[JobReturn]") -> None:
        error = future.exception() or _error_of(future.result())
        if isinstance(error, optuna.TrialPruned):
            self._tell(trial, None, TrialState.PRUNED)
        elif error is not None:
            self._fail(trial, error)
        else:
            self._complete(trial, future.result()._return_value)

    def _complete(self, trial: optuna.Trial, returned: Any) -> None:
        if self._study._storage.get_trial(trial._trial_id).state.is_finished():
            return
        try:
            values = _values(returned, len(self._study.directions))
        except ValueError as error:
            self._fail(trial, error)
            return
        self._tell(trial, values, TrialState.COMPLETE)

    def _fail(self, trial: optuna.Trial, error: BaseException) -> None:
        self.last_error = error
        if self._study._storage.get_trial(trial._trial_id).state.is_finished():
            return
        lines = str(error).strip().splitlines() or [""]
        trial.set_user_attr("error", f"{type(error).__name__}: {lines[0]}"[:500])
        self._tell(trial, None, TrialState.FAIL)

    def _tell(self, trial: optuna.Trial, values: list[float] | None, state: TrialState) -> None:
        try:
            self._study.tell(trial, values, state, skip_if_finished=True)
        except RuntimeError as error:
            # A grid sampler that has run out asks to stop, which outside of
            # Study.optimize is an error; the trial has been told by then.
            if "Study.stop" not in str(error):
                raise

    def _check_failures(self) -> None:
        window = min(FAILURE_WINDOW, self._budget.n_trials)
        allowed = self._budget.max_failure_rate * window
        if sum(self._failed) > allowed:
            raise SweepError(
                f"{sum(self._failed)} of the last {len(self._failed)} trials failed, more than "
                f"max_failure_rate={self._budget.max_failure_rate:g} allows; the last one with "
                f"{type(self.last_error).__name__}: {self.last_error}"
            )


def _error_of(job: JobReturn) -> BaseException | None:
    # `return_value` would print the failure on the screen before raising it.
    failed = job.status is JobStatus.FAILED
    return job._return_value if failed else None


def _values(returned: Any, n_objectives: int) -> list[float]:
    """Read what a job returned as the values of `n_objectives` objectives."""
    try:
        values = [float(returned)] if n_objectives == 1 else [float(value) for value in returned]
    except (TypeError, ValueError):
        raise ValueError(f"the job returned {returned!r}, not {n_objectives} number(s)") from None
    if len(values) != n_objectives:
        raise ValueError(f"the job returned {len(values)} values for {n_objectives} objectives")
    if any(math.isnan(value) for value in values):
        raise ValueError("the job returned NaN")
    return values
