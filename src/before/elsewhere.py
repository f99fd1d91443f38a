"""Launchers that run trials on other machines: their schemas, and what to know before the start.

Importing this file registers the schemas on which `conf/hydra/launcher/` builds, as far as their
packages are installed.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from src.hardware.config import AUTO

# Classes of launchers, whatever the file is called that chooses one.
ELSEWHERE = ("SlurmLauncher", "RayLauncher", "RayAWSLauncher")
# The schema of a launcher -> the extra that brings it.
EXTRAS = {"submitit_slurm": "slurm", "submitit_local": "slurm", "ray": "ray"}


def is_elsewhere(hydra: Any) -> bool:
    """Tell whether trials run on other machines.

    Args:
        hydra: the `hydra` node of the config.
    """
    return str(hydra.launcher.get("_target_")).rpartition(".")[2] in ELSEWHERE


def notes_on_machines(
    cfg: DictConfig, choices: Mapping[str, Any], typed: Collection[str]
) -> Iterator[str]:
    """Yield what a search on other machines should be told before it starts.

    Args:
        cfg: the config of the search.
        choices: options of the groups.
        typed: the keys of the command line.
    """
    launcher = f"hydra/launcher={choices.get('hydra/launcher')}"
    if choices.get("gpu") == AUTO:
        yield (
            f"gpu=auto: sizes are those of this machine, and {launcher} runs trials on others; "
            "give the profile of their card, as in gpu=a100"
        )
    if str(cfg.optuna.storage).startswith("sqlite"):
        yield (
            f"optuna.storage: a SQLite file serves one machine, and {launcher} may use several, "
            "which damage it on a network folder; take optuna.storage=journal:///PATH there, or "
            "postgresql://HOST/DATABASE"
        )
    if "optuna.n_jobs" not in typed:
        yield (
            f"optuna.n_jobs={cfg.optuna.n_jobs}: so many trials run or wait at a time, which is "
            f"what this machine has room for; {launcher} may have more"
        )


def not_installed(schema: str) -> str | None:
    """Return what to install for a launcher, None where it is not that.

    Args:
        schema: a config that was not found, as `hydra/launcher/ray_schema`.
    """
    name = schema.removeprefix("hydra/launcher/").removesuffix("_schema")
    if name not in EXTRAS or not schema.endswith("_schema"):
        return None
    return (
        f"hydra/launcher={name}: its package is not installed; pip install "
        f"'doctune[{EXTRAS[name]}]'"
    )


store = ConfigStore.instance()
with contextlib.suppress(ImportError):
    from hydra_plugins.hydra_submitit_launcher.config import LocalQueueConf, SlurmQueueConf

    store.store(group="hydra/launcher", name="submitit_slurm_schema", node=SlurmQueueConf)
    store.store(group="hydra/launcher", name="submitit_local_schema", node=LocalQueueConf)
with contextlib.suppress(ImportError):
    from hydra_plugins.hydra_ray_launcher._config import RayLauncherConf

    store.store(group="hydra/launcher", name="ray_schema", node=RayLauncherConf)
