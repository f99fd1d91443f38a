"""The keys of `hydra/launcher: workers`."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore


@dataclass
class WorkersLauncherConf:
    """Long-lived local processes, one trial at a time each."""

    _target_: str = "src.launch.plugin.WorkersLauncher"

    # Processes at a time.
    n_workers: int = 1
    # Values of CUDA_VISIBLE_DEVICES, dealt out in turn; empty: the cores are shared out.
    devices: list[str] = field(default_factory=list)
    # auto: as many jobs at a time on a device as make it busier, up to `n_workers` in all; with a
    # number all `n_workers` run.
    jobs_per_device: Any = 1
    # Modules that a worker imports before its first job.
    preload: list[str] = field(default_factory=list)


ConfigStore.instance().store(
    group="hydra/launcher",
    name="workers",
    node=WorkersLauncherConf,
    provider="workers",
)
