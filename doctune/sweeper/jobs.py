"""Any Hydra launcher, as the loop uses it: one job at a time from each of several threads."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from hydra.core.utils import JobReturn
from omegaconf import OmegaConf

# As the stock Optuna sweeper.
BY_DEFAULT = 2


class LaunchedJobs:
    """Runs jobs through a launcher.

    Args:
        launcher: any of Hydra's; more is known of those with `slots`, `cancel` and `close`.
        overrides: what every job is given beside its own.
    """

    def __init__(self, launcher: Any, overrides: Sequence[str]) -> None:
        self._launcher = launcher
        self._overrides = list(overrides)
        name = type(launcher).__name__
        self.name = name.removesuffix("Launcher").lower()
        # Called when a launch is over.
        self.after_launch: Callable[[], None] = lambda: None
        self._starting = threading.Lock()
        self.can_cancel = hasattr(launcher, "cancel")

    def slots(self, wanted: int | None) -> int:
        """Return how many of `wanted` trials run at a time; None: as many as the launcher can."""
        if self.name == "basic":
            return 1
        workers = self.workers
        if wanted is None:
            return workers or BY_DEFAULT
        return min(wanted, workers or wanted)

    @property
    def workers(self) -> int | None:
        """Return how many jobs the launcher runs at a time, if it can tell."""
        found: int | None = getattr(self._launcher, "slots", None)
        return found

    def expect(self, needs: Any) -> None:
        """Tell the launcher what the app knows of a job beforehand, if it wants to know."""
        expect = getattr(self._launcher, "expect", None)
        if expect is not None and needs is not None:
            expect(needs)

    def room(self, most: int) -> int:
        """Return how many jobs may run at a time now, up to `most`."""
        room = getattr(self._launcher, "room", None)
        return most if room is None else min(most, int(room()))

    def launch(self, overrides: Sequence[str], number: int) -> JobReturn:
        """Run one job and wait for it."""
        words = [*overrides, *self._overrides]
        self._start()
        try:
            job: JobReturn = self._launcher.launch([words], initial_job_idx=number)[0]
        finally:
            self.after_launch()
        return job

    def _start(self) -> None:
        """Start what the launcher would start in every thread, and what starts only once."""
        if self.name != "ray":
            return
        from hydra_plugins.hydra_ray_launcher._launcher_util import start_ray

        settings: Any = OmegaConf.to_container(self._launcher.ray_cfg.init, resolve=True)
        with self._starting:
            # Not in the main thread, where Ray would take SIGTERM for itself.
            start_ray(OmegaConf.create(settings))

    def cancel(self, number: int) -> None:
        """End a job that hangs, if the launcher can."""
        if self.can_cancel:
            self._launcher.cancel(number)

    def close(self) -> None:
        """End all jobs, if the launcher can."""
        close = getattr(self._launcher, "close", None)
        if close is not None:
            close()
