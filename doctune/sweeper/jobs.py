"""Any Hydra launcher, as the loop uses it: one job at a time from each of several threads."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hydra.core.utils import JobReturn

from doctune.launcher.job.composing import JobComposer
from doctune.shown_keys import shown

# As the stock Optuna sweeper.
BY_DEFAULT = 2
# What users call launchers whose class has another name.
NAMES = {"slurm": "submitit_slurm", "local": "submitit_local"}


def looked_after(launcher: Any, composer: JobComposer) -> Any:
    """Return a launcher of another package as one whose jobs can be cancelled, where we know how.

    Args:
        launcher: any, set up.
        composer: of the jobs' configs.
    """
    kinds = {kind.__name__ for kind in type(launcher).__mro__}
    # By name, as their packages need not be installed.
    if "BaseSubmititLauncher" in kinds:
        return _submitted(launcher)
    if "BasicLauncher" in kinds:
        from doctune.launcher.in_process import make_quick

        make_quick(launcher, composer)
    if "JoblibLauncher" in kinds:
        from doctune.launcher.on_joblib import JoblibJobs

        return JoblibJobs(launcher)
    if "RayLauncher" in kinds:
        from doctune.launcher.on_ray import RayJobs

        return RayJobs(launcher)
    return launcher


def _submitted(launcher: Any) -> Any:
    """Return jobs that serve many trials, but where several tasks share one."""
    tasks = [int(launcher.params.get(key) or 1) for key in ("nodes", "tasks_per_node")]
    if max(tasks) > 1:
        from doctune.launcher.slurm.submitted import SubmittedJobs

        return SubmittedJobs(launcher)
    from doctune.launcher.slurm.served import ServedJobs

    return ServedJobs(launcher)


class LaunchedJobs:
    """Runs jobs through a launcher.

    Any of Hydra's serves with its `launch` alone. Beside that a launcher may have, each on its own:

    * `slots`: jobs that run at a time, `most`: at most; `room()`: those that may now; `holds_next`:
      whether it takes more, and starts them when there is room;
    * `start()`: starts its processes before there are jobs; `compose_with(composer)`,
      `expect(needs)`: what is known of jobs before they come;
    * `began(number)`, `waits(number)`: how a job stands; `cancel(number)`: ends one; `close()`:
      ends all.

    Args:
        launcher: set up.
        overrides: what every job is given beside its own.
        composer: of the jobs' configs, for launchers that compose in this process or beside it.
    """

    def __init__(self, launcher: Any, overrides: Sequence[str], composer: JobComposer) -> None:
        self._launcher = looked_after(launcher, composer)
        self._ask("compose_with", composer)
        self._overrides = list(overrides)
        name = type(launcher).__name__.removesuffix("Launcher").lower()
        self.name = NAMES.get(name, name)
        # Job -> when it was handed over, by the monotonic clock.
        self._handed_over: dict[int, float] = {}
        # Called when a launch is over.
        self.after_launch: Callable[[], None] = lambda: None
        self.can_cancel = hasattr(self._launcher, "cancel")

    def slots(self, wanted: int | None) -> int:
        """Return how many of `wanted` trials run at a time; None: as many as the launcher can."""
        if self.name == "basic":
            return 1
        workers = self.workers
        if wanted is None:
            wanted = workers or BY_DEFAULT
        return min(wanted, workers or wanted, getattr(self._launcher, "most", wanted))

    def notes_on_slots(self, slots: int, wanted: int | None) -> Iterator[str]:
        """Yield what to tell where another number of trials run at a time than was given.

        Args:
            slots: how many run.
            wanted: the number that was given; None: none was.
        """
        workers = self.workers
        if wanted is not None and slots < wanted:
            trials = "one trial" if slots == 1 else f"{slots} trials"
            hint = "; hydra/launcher=workers runs more" if self.name == "basic" else ""
            if hasattr(self._launcher, "most"):
                hint = "; hydra.launcher.n_jobs says how many"
            if workers is not None:
                hint = f" ({shown('n_jobs')}); leave hydra.launcher.n_workers out, or raise it"
            yield f"hydra/launcher={self.name} runs {trials} at a time, not {wanted}{hint}"
        elif workers is not None and workers > slots:
            yield (
                f"{slots} of {workers} workers are used, as {shown('n_jobs')}={wanted}; leave one "
                "of the two numbers out"
            )

    @property
    def workers(self) -> int | None:
        """Return how many jobs the launcher runs at a time, if it can tell."""
        found: int | None = getattr(self._launcher, "slots", None)
        return found

    def most_ahead(self, at_once: int) -> int:
        """Return how many jobs beyond those that run may be handed over, to wait for a worker."""
        holds = getattr(self._launcher, "holds_next", False)
        # A worker that is to do nothing would take them.
        return at_once if holds and self.workers == at_once else 0

    def start(self) -> None:
        """Let the launcher start its processes, if it has some that take a while."""
        self._ask("start")

    def expect(self, needs: Any) -> None:
        """Tell the launcher what the app knows of a job beforehand, if it wants to know."""
        if needs is not None:
            self._ask("expect", needs)

    def room(self, most: int) -> int:
        """Return how many jobs may run at a time now, up to `most`."""
        room = self._ask("room")
        return most if room is None else min(most, int(room))

    def launch(self, overrides: Sequence[str], number: int) -> JobReturn:
        """Run one job and wait for it."""
        words = [*overrides, *self._overrides]
        self._handed_over[number] = time.monotonic()
        try:
            job: JobReturn = self._launcher.launch([words], initial_job_idx=number)[0]
        finally:
            self.after_launch()
        return job

    def began(self, number: int) -> float | None:
        """Return when a job began, by the monotonic clock; None while it waits in a queue.

        Where a launcher has no queue, jobs begin as soon as they are handed over.
        """
        began = getattr(self._launcher, "began", self._handed_over.get)
        since: float | None = began(number)
        return since

    def waits(self, number: int) -> bool:
        """Ask now whether a job waits in a queue, as it may have begun since it was looked at."""
        waits = self._ask("waits", number)
        return self.began(number) is None if waits is None else bool(waits)

    def cancel(self, number: int) -> None:
        """End a job that hangs or waits, if the launcher can."""
        self._ask("cancel", number)

    def close(self) -> None:
        """End all jobs, if the launcher can."""
        self._ask("close")

    def _ask(self, name: str, *about: Any) -> Any:
        """Call a method that only some launchers have; None where this one has none."""
        method = getattr(self._launcher, name, None)
        return None if method is None else method(*about)
