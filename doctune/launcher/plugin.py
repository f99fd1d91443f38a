"""The Hydra plugin `hydra/launcher: workers`, and its keys; light, as Hydra imports it at every
start."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class WorkersLauncherConf:
    """Long-lived local processes, one trial at a time each."""

    _target_: str = "doctune.launcher.plugin.WorkersLauncher"

    # Processes at a time; null: as many as the sweeper has trials (`hydra.sweeper.n_jobs`), without
    # such a number one a device.
    n_workers: int | None = None
    # Values of CUDA_VISIBLE_DEVICES, dealt out in turn; empty: the cores are shared out.
    devices: list[str] = field(default_factory=list)
    # auto: as many jobs at a time on a device as make it busier, up to `n_workers` in all; with a
    # number all `n_workers` run.
    jobs_per_device: Any = 1
    # Modules that workers need: on Linux imported once, in a process that they are copies of.
    preload: list[str] = field(default_factory=list)


ConfigStore.instance().store(
    group="hydra/launcher",
    name="workers",
    node=WorkersLauncherConf,
    provider="workers",
)


class WorkersLauncher(Launcher):
    """Runs jobs in long-lived local processes, each pinned to a device or to cores."""

    def __init__(
        self,
        n_workers: int | None,
        devices: Sequence[str],
        preload: Sequence[str],
        jobs_per_device: int | str = 1,
    ) -> None:
        if n_workers is not None and n_workers < 1:
            raise CompactHydraException(f"hydra.launcher.n_workers={n_workers}: is below 1")
        self._asked_for = n_workers
        self._n_workers = n_workers or 1
        self._devices = list(devices)
        self._preload = list(preload)
        self._packs = jobs_per_device == "auto" and bool(self._devices)
        self._packing: Any = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Describe the jobs to the workers; their processes start with `start`, or with a job."""
        from doctune.launcher.job.run import JobContext
        from doctune.launcher.workers.pool import WorkerPool

        self._check_preload(hydra_context.execution_whitelist)
        if self._asked_for is None:
            self._n_workers = self._by_default(config.hydra.sweeper)
        if self._packs:
            from doctune.launcher.workers.packing import Packing

            self._packing = Packing(self._devices, self._n_workers)
        # Resolved before the picture is taken: a name that holds the time is the same for all.
        log_folder = str(config.hydra.sweep.dir)
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
        self._context = JobContext.capture(self)
        try:
            self._pool: Any = WorkerPool(
                self._n_workers, self._devices, self._preload, self._context, log_folder
            )
        except OSError as error:
            # Semaphores, which Linux keeps in a folder that small containers are without.
            raise CompactHydraException(
                f"hydra/launcher: processes can share nothing here ({error.strerror}: /dev/shm); "
                "mount it, with Docker for instance by --shm-size=1g, or take hydra/launcher=basic"
            ) from error

    def _by_default(self, sweeper: Any) -> int:
        """Return how many workers there are where nobody has said so."""
        if sweeper.get("n_jobs"):
            return int(sweeper.n_jobs)
        if self._devices:
            return len(self._devices)
        # As many trials as the stock Optuna sweeper runs at a time; other sweepers have none.
        return 2 if "n_jobs" in sweeper else 1

    def _check_preload(self, allowed: Any) -> None:
        """Refuse modules that the app's whitelist does not hold; importing one runs its code.

        Raises:
            CompactHydraException: names them.
        """
        if not isinstance(allowed, tuple):
            return
        for module in self._preload:
            if not any(fnmatchcase(module, pattern) for pattern in allowed):
                raise CompactHydraException(
                    f"hydra.launcher.preload: '{module}' is not in the execution whitelist"
                )

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs and wait for them; may be called from several threads at once."""
        numbered = [
            (list(overrides), initial_job_idx + i) for i, overrides in enumerate(job_overrides)
        ]
        if len(numbered) == 1:
            return [self._pool.run(*numbered[0])]
        with ThreadPoolExecutor(self._n_workers) as threads:
            return list(threads.map(lambda job: self._pool.run(*job), numbered))

    def compose_with(self, composer: Any) -> None:
        """Give the workers what a `JobComposer` of their sweep has composed when they start."""
        self._context.composer = composer

    @property
    def slots(self) -> int:
        """Return how many jobs run at a time."""
        return self._n_workers

    @property
    def holds_next(self) -> bool:
        """Tell whether jobs beyond those that run wait here, and start when a worker is free."""
        # Workers that a device has no room for yet would take them.
        return self._packing is None

    def start(self) -> None:
        """Start the workers before there are jobs, as they take a while to import."""
        self._pool.start()

    def began(self, number: int) -> float | None:
        """Return when a worker took a job, by the monotonic clock; None while it waits for one."""
        return self._pool.began(number)  # type: ignore[no-any-return]

    def expect(self, needs: Any) -> None:
        """Take what is known beforehand of a job (`doctune.launcher.workers.packing.JobNeeds`)."""
        if self._packing is not None:
            self._packing.expect(needs)

    def room(self) -> int:
        """Return how many jobs may run at a time now."""
        if self._packing is None:
            return self._n_workers
        return int(self._packing.room(self._pool.warm()))

    def device_lines(self) -> list[str]:
        """Return how busy and how full each device is, a line each; none on a CPU."""
        from doctune.launcher.workers.device_use import device_lines

        return device_lines(self._devices)

    def cancel(self, number: int) -> None:
        """Kill the worker of a job, whose `launch` raises; its log shows where it was."""
        self._pool.cancel(number)

    def close(self) -> None:
        """End the processes at once; jobs that run are lost and `launch` raises for them."""
        self._pool.close()
