"""Any Hydra launcher, as the loop uses it: one job at a time from each of several threads."""

from collections.abc import Callable, Sequence
from typing import Any

from hydra.core.utils import JobReturn

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
        try:
            job: JobReturn = self._launcher.launch([words], initial_job_idx=number)[0]
        finally:
            self.after_launch()
        return job

    def cancel(self, number: int) -> None:
        """End a job that hangs, if the launcher can."""
        if self.can_cancel:
            self._launcher.cancel(number)

    def close(self) -> None:
        """End all jobs, if the launcher can."""
        close = getattr(self._launcher, "close", None)
        if close is not None:
            close()
