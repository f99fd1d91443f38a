"""The sweep from start to end: space, study, loop, results."""

import contextlib
import functools
import logging
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.types import HydraContext, TaskFunction
from hydra.utils import get_method, instantiate
from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from src.sweep.display import make_display
from src.sweep.errors import SweepError
from src.sweep.loop import AsyncLoop, Budget
from src.sweep.running_trial import make_pruner
from src.sweep.search_space import (
    SearchSpace,
    build_search_space,
    defaults_within,
    examples,
)
from src.sweep.storage import study_location
from src.sweep.study import finished, open_study, requeue_orphans
from src.sweep.warm_start import warm_start

log = logging.getLogger(__name__)

SAMPLER_WHITELIST = ("hydra_plugins.hydra_optuna_sweeper.*", "optuna.samplers.*")


class AsyncSweeper(OptunaSweeperImpl):
    """The stock sweeper's config and helpers around an asynchronous loop."""

    def __init__(
        self,
        *,
        sampler: Any,
        enabled: bool,
        timeout: float | None,
        pruner: DictConfig | None,
        prune: bool,
        search_space: DictConfig | None,
        settings: DictConfig | None,
        on_start: str | None,
        on_end: str | None,
        start_with_defaults: bool,
        from_study: str | None,
        from_study_trials: int,
        **stock: Any,
    ) -> None:
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = instantiate(sampler, _execution_whitelist_=SAMPLER_WHITELIST)
        super().__init__(sampler=sampler, **stock)
        self._enabled = enabled
        self._timeout = timeout
        self._pruner = make_pruner(pruner) if prune else optuna.pruners.NopPruner()
        self._typed_space = search_space
        self._settings = settings
        self._on_start = on_start
        self._on_end = on_end
        self._start_with_defaults = start_with_defaults
        self._from_study = from_study
        self._from_study_trials = from_study_trials
        self._console = Console()

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra gives every sweeper, and make the launcher."""
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        assert self.launcher is not None
        self._config, self._launcher = config, self.launcher
        self._loader = hydra_context.config_loader

    def sweep(self, arguments: list[str]) -> Any:
        """Search, write the results and return the study; train once if not `enabled`."""
        self._check_numbers()
        space = build_search_space(
            self._typed_space, self._parse_sweeper_params_config(), arguments
        )
        self._check_keys(space)
        if self._on_start is not None:
            get_method(self._on_start)(self._config)
        if not self._enabled:
            return self._launch_one(space.job_overrides({}), 0)
        if not space.distributions and self.custom_search_space_extender is None:
            raise SweepError(
                "there is nothing to search: choose a preset (hparams_search=fast), or give a "
                "key a range, as in 'optimizer.lr=tag(log, interval(1e-5, 1e-2))'"
            )
        self._fit_sampler_to_grid(space)
        return self._search(space)

    def _search(self, space: SearchSpace) -> optuna.Study:
        folder = Path(str(self.sweep_dir))
        folder.mkdir(parents=True, exist_ok=True)
        with _log_to(folder / "search.log"):
            study = self._open_study()
            self._queue(study, space)
            try:
                self._run_loop(study, space)
            finally:
                self._close_launcher()
                if self._on_end is not None:
                    get_method(self._on_end)(study, folder, self._config)
        return study

    def _open_study(self) -> optuna.Study:
        url, name = study_location(self._config.hydra)
        settings: Any = (
            OmegaConf.to_container(self._settings, resolve=True) if self._settings else {}
        )
        directions: Any = self._get_directions()
        study = open_study(url, name, directions, self.sampler, self._pruner, settings)
        study.set_user_attr("command", shell_command())
        study.set_user_attr("folder", str(self.sweep_dir))
        log.info("study %s, %s trials asked for", study.study_name, self.n_trials)
        return study

    def _queue(self, study: optuna.Study, space: SearchSpace) -> None:
        orphans = requeue_orphans(study)
        if orphans:
            self._say(f"trials {orphans} were interrupted; they run again")
        if not study.get_trials(deepcopy=False):
            self._queue_first_trials(study, space)

    def _queue_first_trials(self, study: optuna.Study, space: SearchSpace) -> None:
        if self._start_with_defaults:
            defaults = defaults_within(space.distributions, self._config)
            study.enqueue_trial(defaults, user_attrs={"defaults": True})
        if self._from_study is not None:
            url, _ = study_location(self._config.hydra)
            count = warm_start(
                study, space.distributions, self._from_study, self._from_study_trials, url
            )
            self._say(f"the best {count} of {self._from_study} run first")

    def _run_loop(self, study: optuna.Study, space: SearchSpace) -> None:
        done = finished(study)
        name = study.study_name
        if done >= self.n_trials:
            self._say(
                f"study {name} has its {self.n_trials} trials already; extend it with "
                f"optuna.n_trials={done + self.n_trials}, or start another with "
                f"optuna.study_name={name}-2"
            )
            return
        if done:
            self._say(f"study {name} goes on: {done} of {self.n_trials} trials are finished")
        budget = Budget(self.n_trials, self._slots(), self._timeout, self.max_failure_rate)
        display = make_display(study, self.n_trials, budget.deadline, self._console)
        extender = self.custom_search_space_extender
        extend = functools.partial(extender, self._config) if extender else None
        loop = AsyncLoop(study, space, self._launch_one, budget, display, extend)
        display.start()
        try:
            with _stop_on_signals(loop) as received:
                loop.run()
        finally:
            display.stop()
            self._close_launcher()
            released = loop.release()
        if received:
            self._say_stopped(study, released)
        elif budget.time_is_over and finished(study) < self.n_trials:
            self._say(f"time is over after {budget.timeout:g} s (optuna.timeout)")

    def _say_stopped(self, study: optuna.Study, released: list[int]) -> None:
        self._say(
            f"stopped with {finished(study)} of {self.n_trials} trials finished"
            + (f"; trials {released} run again next time" if released else "")
            + f".\nThe same command goes on:\n  {shell_command()}"
        )

    def _launch_one(self, overrides: Any, number: int) -> JobReturn:
        job: JobReturn = self._launcher.launch([list(overrides)], initial_job_idx=number)[0]
        return job

    def _slots(self) -> int:
        """Return how many trials the launcher can take at a time."""
        if "BasicLauncher" in type(self._launcher).__name__ and self.n_jobs > 1:
            self._say("hydra/launcher=basic runs one trial at a time; hydra/launcher=workers more")
            return 1
        return int(self.n_jobs)

    def _close_launcher(self) -> None:
        close = getattr(self._launcher, "close", None)
        if close is not None:
            close()

    def _check_numbers(self) -> None:
        for name, value, low in (
            ("n_trials", self.n_trials, 1),
            ("n_jobs", self.n_jobs, 1),
            ("timeout", self._timeout, 0),
            ("from_study_trials", self._from_study_trials, 1),
        ):
            if value is not None and value < low:
                raise SweepError(f"optuna.{name}: {value} is below {low}")

    def _check_keys(self, space: SearchSpace) -> None:
        """Compose jobs that between them hold every choice, so that no trial can fail to."""
        for params in examples(space.distributions):
            try:
                self._loader.load_sweep_config(self._config, space.job_overrides(params))
            except HydraException as error:
                lines = f"{error}\n{error.__cause__ or ''}".splitlines()
                told = [line.strip() for line in lines if line.strip() and "=" not in line]
                raise SweepError(f"search space: {'; '.join(told[:2])}") from error

    def _fit_sampler_to_grid(self, space: SearchSpace) -> None:
        sampler = self.sampler
        if not (
            isinstance(sampler, functools.partial) and sampler.func is optuna.samplers.GridSampler
        ):
            return
        grid = {
            name: self._to_grid_sampler_choices(distribution)
            for name, distribution in space.distributions.items()
        }
        points = 1
        for values in grid.values():
            points *= len(values)
        self.sampler = sampler(grid)
        self.n_trials = min(self.n_trials, points)

    def _say(self, text: str) -> None:
        log.info(text)
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def shell_command() -> str:
    """Return the command line of this process, as one would type it."""

    words = list(sys.orig_argv)
    words[0] = "python"
    return shlex.join(words)


@contextlib.contextmanager
def _stop_on_signals(loop: AsyncLoop) -> Iterator[list[int]]:
    """First Ctrl-C or SIGTERM: a clean end. Second: at once."""
    received: list[int] = []

    def handle(number: int, _: Any) -> None:
        if received:
            os._exit(128 + number)
        received.append(number)
        loop.stop()

    try:
        previous = {
            number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)
        }
    except ValueError:
        # Not the main thread: whoever started us owns the signals.
        yield received
        return
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Send this process's log, Optuna's included, to a file and keep it off the screen."""
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()
