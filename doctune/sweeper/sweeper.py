"""The sweep from start to end: space, study, loop, results."""

import contextlib
import dataclasses
import functools
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl
from omegaconf import DictConfig
from rich.console import Console

from doctune.errors import UserError
from doctune.launcher.job.composing import JobComposer
from doctune.launcher.job.portable import portable, runs_by_name
from doctune.named_in_config import call, check_installed, told_by_key
from doctune.passwords import StoragePassword
from doctune.shown_keys import key_of_folder, shown
from doctune.space.follow import show_focus
from doctune.space.grid import fit_sampler
from doctune.space.search_space import SearchSpace
from doctune.study.budget import Budget
from doctune.study.expected_gain import ExpectedGain
from doctune.study.keys import check_limits
from doctune.study.outage import told_if_away
from doctune.study.pruners import make_pruner
from doctune.study.storage import import_ahead, try_folder
from doctune.study.study import finished, is_complete
from doctune.sweeper.config import OptunaAsyncSweeperConf
from doctune.sweeper.display import make_display
from doctune.sweeper.jobs import LaunchedJobs
from doctune.sweeper.loop import AsyncLoop
from doctune.sweeper.records import SLOTS, lines, log_to
from doctune.sweeper.results import results_in_words, write_results
from doctune.sweeper.space_of_search import SpaceOfSearch
from doctune.sweeper.stop_signals import StopSignals, leave, stop_signals
from doctune.sweeper.study_of_search import StudyOfSearch
from doctune.words import did_you_mean

log = logging.getLogger(__name__)

DIRECTIONS = ("minimize", "maximize")
SAMPLER_WHITELIST = (
    "hydra_plugins.hydra_optuna_sweeper.*",
    "optuna.samplers.*",
    "doctune.space.grid.*",
)


class AsyncSweeper(OptunaSweeperImpl):
    """The stock sweeper's config and helpers around an asynchronous loop."""

    def __init__(self, keys: OptunaAsyncSweeperConf) -> None:
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        check_limits(vars(keys), type(keys))
        with told_by_key("hydra.sweeper.sampler"):
            sampler = instantiate(keys.sampler, _execution_whitelist_=SAMPLER_WHITELIST)
        check_installed(sampler)
        with told_by_key("hydra.sweeper.custom_search_space"):
            super().__init__(sampler=sampler, **keys.of_stock)
        self._keys = keys
        self._console = Console()

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra gives every sweeper, and make the launcher."""
        self._password = StoragePassword(config)
        hidden = self._password.hide()
        # Resolved before jobs are composed from this config, so that a resolver which keeps its
        # value gives all of them the same study and folder.
        self._study = StudyOfSearch(self._keys, config)
        task: Any = task_function
        if not runs_by_name(config.hydra.launcher):
            task = portable(task_function)
        super().setup(hydra_context=hydra_context, task_function=task, config=config)
        assert self.launcher is not None
        self._config = config
        self._loader = hydra_context.config_loader
        self._composer = JobComposer(self._loader, config)
        self._jobs = LaunchedJobs(self.launcher, hidden, self._composer)

    def sweep(self, arguments: list[str]) -> Any:
        """Search, write the results and return the study; train once if not `enabled`."""
        arguments = [self._password.strip(argument) for argument in arguments]
        self._wanted = SpaceOfSearch(
            self._keys,
            self._config,
            self._loader,
            self._composer,
            self._study,
            self._parse_sweeper_params_config(),
            arguments,
            is_extended=self.custom_search_space_extender is not None,
        )
        with self._ended_if_refused(), contextlib.ExitStack() as begun:
            space = self._checked_space(begun)
        if not self._keys.enabled:
            return self._jobs.launch(space.job_overrides({}), 0)
        if self._wanted.followed is not None:
            show_focus(self._wanted.followed, space, self._console)
        return self._search(space, arguments)

    def _checked_space(self, begun: contextlib.ExitStack) -> SearchSpace:
        """Return what is searched, when nothing is wrong with it, with the study and with the jobs.

        Args:
            begun: takes what the app does in the background meanwhile.
        """
        if self._keys.enabled:
            # Before the app's own checks, which may look through its data.
            self._check_folder()
            self._study.check()
            self._wanted.check_not_empty_at_once()
            # From here on they import what they need.
            self._jobs.start()
        if self._keys.on_command is not None:
            at_once = self._wanted.jobs_at_once()
            on = call("hydra.sweeper.on_command", self._keys.on_command, self._config, at_once)
            if on is not None:
                begun.enter_context(on)
        if self._keys.enabled:
            if len(self._get_directions()) > 1 and self._keys.stop_when is not None:
                raise UserError(
                    f"{shown('stop_when')}={self._keys.stop_when:g}: what more trials would gain "
                    "is known with one objective alone; leave it out, or the other objectives"
                )
            self._made_pruner = make_pruner(self._keys.pruner if self._keys.prune else None)
            # The app may wait for the workers' imports from here on.
            import_ahead()
        space = self._wanted.build()
        if self._keys.enabled:
            self._wanted.check_not_empty(space)
            self.sampler, points = fit_sampler(self.sampler, space, self._to_grid_sampler_choices)
            if points is not None:
                n_trials = min(self._keys.n_trials, points)
                self._keys = dataclasses.replace(self._keys, n_trials=n_trials)
        jobs = self._wanted.examples(space)
        if self._keys.on_start is not None:
            needs = call("hydra.sweeper.on_start", self._keys.on_start, self._config, jobs)
            self._jobs.expect(needs)
        return space

    @contextlib.contextmanager
    def _ended_if_refused(self) -> Iterator[None]:
        """End the workers where there is a mistake, which leaves nothing behind."""
        folder = Path(str(self.sweep_dir))
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        there = set(folder.glob("*"))
        try:
            yield
        except BaseException:
            self._jobs.close()
            for log_of_worker in set(folder.glob("worker-*.log")) - there:
                log_of_worker.unlink(missing_ok=True)
            for one in missing:
                # Another process may have begun to use it.
                with contextlib.suppress(OSError):
                    one.rmdir()
            raise

    def _search(self, space: SearchSpace, arguments: list[str]) -> optuna.Study:
        folder = Path(str(self.sweep_dir))
        folder.mkdir(parents=True, exist_ok=True)
        with log_to(folder / "search.log") as keep_log:
            self._jobs.after_launch = keep_log
            with self._study.lock():
                directions = self._get_directions()
                study = self._study.open(folder, directions, self.sampler, self._made_pruner)
                space.check_study(study)
                if self._keys.from_study or "command" in study.user_attrs or study.get_trials():
                    # A sampler with a seed would draw what the study's first process, or the
                    # earlier study, has drawn.
                    study.sampler.reseed_rng()
                if not self._keys.join:
                    self._study.remember(study, space, str(self.sweep_dir), arguments)
                    for told in self._study.queue_first_trials(study, space):
                        self._say(told)
            with stop_signals() as signals:
                try:
                    seconds_left = self._run_loop(study, space, signals)
                finally:
                    self._jobs.close()
                    if not self._keys.join:
                        with told_if_away(self._say, "no results are written"):
                            write_results(study, folder, self._keys.on_end, self._config)
                            if self._keys.on_end is None:
                                self._say(results_in_words(study, folder))
        if signals.received:
            # As of any program that a signal has ended, so that a script does not go on.
            leave(128 + signals.received[0], SLOTS)
        if self._keys.on_complete is not None and not self._keys.join:
            name, left = self._keys.on_complete, seconds_left
            call("hydra.sweeper.on_complete", name, study, folder, self._config, left)
        return study

    def _run_loop(
        self, study: optuna.Study, space: SearchSpace, signals: StopSignals
    ) -> float | None:
        """Run what is left of the search; return the seconds that are left then, None: no limit."""
        done = finished(study, self._keys.count_failed)
        name = study.study_name
        if done >= self._keys.n_trials:
            self._say(is_complete(name, done, self._keys.n_trials))
            return self._keys.timeout
        if done:
            self._say(f"study {name} goes on: {done} of {self._keys.n_trials} trials are finished")
        budget = self._budget()
        # Of the launchers only ours can tell how busy its devices are.
        device_lines = getattr(self.launcher, "device_lines", None)
        display = make_display(study, budget, self._console, device_lines)
        extender = self.custom_search_space_extender
        extend = functools.partial(extender, self._config) if extender else None
        loop = AsyncLoop(
            study,
            space,
            self._jobs,
            budget,
            display,
            lock=self._study.lock,
            heartbeat=self._keys.heartbeat,
            extend=extend,
            # Without parameters every trial is a repetition, and is meant to be.
            reuse=self._keys.reuse_duplicates and not self._wanted.is_empty(space),
            ahead=not self._is_a_sequence(budget),
            creation_lock=self._study.creation_lock,
        )
        display.start()
        signals.call_at_first(loop.stop)
        released: list[int] = []
        try:
            loop.run()
        finally:
            display.stop()
            self._jobs.close()
            with told_if_away(self._say, "the next run finds the trials in flight"):
                released = loop.release()
        if signals.received:
            self._say_stopped(study, released)
        elif loop.enough is not None:
            self._say(self._enough_in_words(loop.enough, study))
        elif budget.time_is_over and finished(study, self._keys.count_failed) < self._keys.n_trials:
            self._say(f"time is over after {budget.timeout:g} s ({shown('timeout')})")
        return budget.seconds_left

    def _enough_in_words(self, said: ExpectedGain, study: optuna.Study) -> str:
        done = finished(study, self._keys.count_failed)
        return (
            f"enough after {done} of {self._keys.n_trials} trials: {said.ahead} more are expected "
            f"to gain {said.gain:.2g}, less than {shown('stop_when')}={self._keys.stop_when:g}"
        )

    def _is_a_sequence(self, budget: Budget) -> bool:
        """Tell whether the same command gives the same trials again: a seed, one at a time."""
        sampler: Any = self._keys.sampler
        seed = sampler.get("seed") if isinstance(sampler, Mapping | DictConfig) else None
        return budget.n_jobs == 1 and seed is not None

    def _say_stopped(self, study: optuna.Study, released: list[int]) -> None:
        again = f"; trials {released} run again next time" if released else ""
        with told_if_away(self._say, "stopped"):
            done = finished(study, self._keys.count_failed)
            self._say(f"stopped with {done} of {self._keys.n_trials} trials finished{again}.")
        self._say(self._study.how_it_goes_on())

    def _budget(self) -> Budget:
        wanted = self._keys.n_jobs
        slots = self._jobs.slots(wanted)
        for told in self._jobs.notes_on_slots(slots, wanted):
            self._say(told)
        if self._keys.trial_timeout is not None and not self._jobs.can_cancel:
            self._say(
                f"hydra/launcher={self._jobs.name} cannot end a trial that hangs; "
                "hydra/launcher=workers can"
            )
        return Budget.of(self._keys, slots)

    def _check_folder(self) -> None:
        folder = Path(str(self.sweep_dir))
        try:
            try_folder(folder)
        except OSError as error:
            raise UserError(
                f"{error.filename or folder}: {error.strerror}; mend it, or take another folder "
                f"with {key_of_folder(self._config)}"
            ) from error

    def _get_directions(self) -> list[str]:
        """Return what is done with each objective.

        Raises:
            UserError: it is neither minimize nor maximize.
        """
        directions = super()._get_directions()
        for direction in directions:
            if direction not in DIRECTIONS:
                hint = did_you_mean(direction, DIRECTIONS)
                raise UserError(f"{shown('direction')}={direction}: unknown{hint}")
        return directions

    def _say(self, text: str) -> None:
        lines.info(text)
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
