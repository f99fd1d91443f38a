"""The asynchronous loop: `n_jobs` trials in flight, the next one starts when any ends.

Every slot is a thread that calls the Hydra launcher with a single job, which works with any
launcher. The study is asked and told in the main thread alone. Other processes may serve the same
study: what starts next is decided under the study's lock. Where trials are short, the next ones are
asked for while others run, if the launcher holds them until there is room.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from typing import Any, Protocol

import optuna
from hydra.core.utils import JobReturn
from optuna.trial import FrozenTrial, TrialState

from doctune.space.search_space import SearchSpace
from doctune.study.budget import Budget
from doctune.study.expected_gain import ExpectedGain
from doctune.study.outage import AWAY, Outage
from doctune.study.ownership import Heartbeat, Watch, this_process
from doctune.study.queue import (
    HANDED_ON,
    OF_ITS_OWN,
    Asker,
    copy_result,
    finished_twin,
    fresh_trial,
    interrupt,
    next_trial,
    note_fixed_keys,
    requeue_interrupted,
)
from doctune.study.study import finished, was_interrupted
from doctune.study.window import WindowedSampler
from doctune.sweeper.ahead import Ahead
from doctune.sweeper.display import Display
from doctune.sweeper.failures import FailureWindow
from doctune.sweeper.notices import Notices
from doctune.sweeper.records import SLOTS
from doctune.sweeper.telling import InFlight, Teller

# What we write into a trial, so that an app's key of that name is not written beside it.
OUR_NAMES = frozenset(
    (
        *(*OF_ITS_OWN, *HANDED_ON, "fixed", "interrupted", "error"),
        *("progress", "stopped", "processes_left"),
    )
)
# How often a process that has nothing to start looks at the others' trials, in seconds.
LOOK_SECONDS = 1.0
# How often it is looked for what ended and what hangs, in seconds.
COLLECT_SECONDS = 0.2


class Jobs(Protocol):
    """What the loop needs of a Hydra launcher."""

    def launch(self, overrides: Sequence[str], number: int) -> JobReturn:
        """Run one job and wait for it; called from several threads at once."""

    def began(self, number: int) -> float | None:
        """Return when a job began, by the monotonic clock; None while it waits in a queue."""

    def waits(self, number: int) -> bool:
        """Ask now whether a job waits in a queue, as it may have begun since it was looked at."""

    def cancel(self, number: int) -> None:
        """End a job that hangs or waits, if the launcher can."""

    def room(self, most: int) -> int:
        """Return how many jobs may run at a time now, up to `most`."""

    def most_ahead(self, at_once: int) -> int:
        """Return how many jobs beyond those that run may be handed over."""


class AsyncLoop:
    """Asks, launches and tells until the budget is used up.

    Args:
        study: what is asked and told.
        space: what is sampled, and the overrides of a job.
        jobs: runs the jobs.
        budget: when to end.
        display: told what happens.
        lock: returns the study's lock.
        creation_lock: returns what to hold where a trial is created and nothing else is decided;
            None: the study's lock.
        heartbeat: seconds between two signs of life.
        extend: adds parameters to a trial (`custom_search_space`).
        reuse: whether a proposal equal to a finished trial takes over its result.
        ahead: whether trials may be asked for before there is room for them.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: SearchSpace,
        jobs: Jobs,
        budget: Budget,
        display: Display,
        lock: Callable[[], AbstractContextManager[None]],
        heartbeat: float = 10.0,
        extend: Callable[[optuna.Trial], None] | None = None,
        reuse: bool = True,
        ahead: bool = True,
        creation_lock: Callable[[], AbstractContextManager[None]] | None = None,
    ) -> None:
        self._study = study
        self._space = space
        self._jobs = jobs
        self._budget = budget
        self._display = display
        self._lock = lock
        self._creation_lock = creation_lock or lock
        self._extend = extend
        # As the stock sweeper does, but apart from what we write there ourselves.
        self._fixed = {
            f"fixed {key}" if key in OUR_NAMES else key: value for key, value in space.fixed.items()
        }
        self._reuse = reuse
        self._asker = Asker(this_process(), Watch(heartbeat), set())
        self._outage = Outage(display.tell)
        self._heartbeat = Heartbeat(study._storage, heartbeat, outage=self._outage)
        self._failures = FailureWindow(budget)
        self._teller = Teller(study, budget, self._failures, lock)
        self._notices = Notices(study, display, budget.stop_when)
        self._most_ahead = jobs.most_ahead(budget.n_jobs) if ahead else 0
        self._ahead = Ahead(self._most_ahead)
        # Samplers that look at few trials may propose beside one another.
        self._proposes_apart = isinstance(study.sampler, WindowedSampler)
        self._in_flight: dict[Future[JobReturn], InFlight] = {}
        # Told, and not shown yet.
        self._ended: list[FrozenTrial] = []
        self._look_again = 0.0
        self._stopping = False

    def run(self) -> None:
        """Run until `n_trials` are finished, the time is over or too many trials failed.

        Raises:
            UserError: more trials failed than `max_failure_rate` allows, or the storage is gone
                for good.
        """
        with self._lock():
            note_fixed_keys(self._study, self._fixed)
        self._notices.look()
        slots = ThreadPoolExecutor(self._budget.n_jobs + self._most_ahead, thread_name_prefix=SLOTS)
        try:
            with self._heartbeat:
                while not self._stopping:
                    try:
                        self._fill(slots)
                        self._show_ended()
                        if not self._in_flight and self._is_over():
                            return
                        self._collect()
                        self._outage.is_over()
                    except AWAY as error:
                        self._outage.wait(error)
        finally:
            self._show_ended()
            slots.shutdown(wait=False, cancel_futures=True)

    @property
    def enough(self) -> ExpectedGain | None:
        """Return what more trials would gain where the search has ended for it, else None."""
        return self._notices.enough

    def stop(self) -> None:
        """Start nothing more, and hand the trials in flight to the next run."""
        self._stopping = True

    def release(self) -> list[int]:
        """End the trials in flight as interrupted, queued again; return their numbers."""
        released = []
        with self._lock():
            for entry in self._in_flight.values():
                frozen = self._study._storage.get_trial(entry.trial._trial_id)
                if not frozen.state.is_finished():
                    interrupt(self._study, frozen)
                    released.append(frozen.number)
            requeue_interrupted(self._study)
        self._in_flight.clear()
        return released

    def _fill(self, slots: ThreadPoolExecutor) -> None:
        while (
            len(self._in_flight) < self._jobs.room(self._budget.n_jobs) + self._ahead.count
            and not self._budget.time_is_over
            and self.enough is None
            and not self._stopping
            and time.monotonic() >= self._look_again
        ):
            asked = time.monotonic()
            trial = self._next_trial()
            if trial is None:
                self._look_again = time.monotonic() + LOOK_SECONDS
                return
            if self._reuse and self._finish_as_twin(trial):
                continue
            self._ahead.asked(time.monotonic() - asked)
            overrides = self._space.job_overrides(trial.params)
            future = slots.submit(self._jobs.launch, overrides, trial.number)
            self._in_flight[future] = InFlight(trial)
            self._heartbeat.add(trial._trial_id)

    def _next_trial(self) -> optuna.Trial | None:
        """Reserve a trial, or None when the others already run all that is left."""
        self._asker.in_flight = {entry.trial.number for entry in self._in_flight.values()}
        notes = self._notes()
        if self._proposes_apart:
            trial = fresh_trial(self._study, self._budget, self._asker, notes, self._creation_lock)
            if trial is not None:
                self._propose(trial)
                return trial
        with self._lock():
            trial, orphans = next_trial(self._study, self._budget, self._asker, notes)
            if orphans:
                self._display.trials_taken_over(orphans)
            if trial is not None and not self._proposes_apart:
                self._propose(trial)
        if trial is not None and self._proposes_apart:
            self._propose(trial)
        return trial

    def _propose(self, trial: optuna.Trial) -> None:
        """Give a reserved trial its parameters."""
        self._space.suggest(trial)
        if self._extend is not None:
            self._extend(trial)

    def _notes(self) -> dict[str, Any]:
        """Return what a trial's job is to know."""
        notes = dict(self._fixed)
        left = self._budget.seconds_left
        if left is not None:
            notes["deadline"] = time.time() + left
        if self._budget.trial_timeout is not None:
            notes["trial_seconds"] = self._budget.trial_timeout
        return notes

    def _finish_as_twin(self, trial: optuna.Trial) -> bool:
        twin = finished_twin(self._study, trial, self._asker.tally)
        if twin is None:
            return False
        copy_result(self._study, trial, twin)
        is_complete = twin.state is TrialState.COMPLETE
        self._teller.tell(trial, twin.values if is_complete else None, twin.state)
        self._display.trial_finished(self._study._storage.get_trial(trial._trial_id))
        return True

    def _is_over(self) -> bool:
        """Tell whether nothing is left to do, not even to watch over the others' trials."""
        if self._budget.time_is_over or self.enough is not None:
            return True
        if finished(self._study, self._budget.count_failed) >= self._budget.n_trials:
            return True
        self._display.waiting_for(
            self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        )
        return False

    def _collect(self) -> None:
        """Wait a moment for jobs to end, tell the study, and end jobs that hang."""
        if not self._in_flight:
            time.sleep(COLLECT_SECONDS)
        done, _ = wait(self._in_flight, timeout=COLLECT_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            entry = self._in_flight[future]
            began = self._jobs.began(entry.trial.number)
            if began is not None:
                self._ahead.ended(time.monotonic() - began)
            self._teller.end_of_job(entry, future, stopping=self._stopping)
            frozen = self._study._storage.get_trial(entry.trial._trial_id)
            if self._stopping and not frozen.state.is_finished():
                # It was ended with everything else; `release` hands it on.
                continue
            del self._in_flight[future]
            self._show_left(entry, future)
            self._heartbeat.remove(entry.trial._trial_id)
            self._look_again = 0.0
            self._ended.append(frozen)
            if not was_interrupted(frozen):
                self._failures.add(frozen)
                self._notices.look()
        for future, entry in self._in_flight.items():
            if entry.cancelled or entry.put_back or future.done():
                continue
            began = self._jobs.began(entry.trial.number)
            entry.cancelled = began is not None and self._budget.hangs(began)
            entry.put_back = (
                began is None and self._budget.time_is_over and self._jobs.waits(entry.trial.number)
            )
            if entry.cancelled or entry.put_back:
                self._jobs.cancel(entry.trial.number)

    def _show_ended(self) -> None:
        """Show the trials that have ended, behind the start of others, as it takes a while."""
        while self._ended:
            self._display.trial_finished(self._ended.pop(0))

    def _show_left(self, entry: InFlight, future: "Future[JobReturn]") -> None:
        """Tell of processes that a job has started and left; they may keep the device."""
        left = [] if future.exception() else getattr(future.result(), "processes_left", [])
        if left:
            self._display.tell(
                f"trial {entry.trial.number} has left processes that run on until the search "
                f"ends: {', '.join(left)}"
            )
