"""Asynchronous Optuna searches for any Hydra app: a sweeper, a launcher, and a job's own trial.

`hydra/sweeper=optuna_async hydra/launcher=workers` on the command line of an app; in its job
`doctune.trial.current_trial()`.
"""

from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

# What Hydra makes the sweeper of.
SWEEPER = "doctune.sweeper.plugin.OptunaAsyncSweeper"


def is_trial() -> bool:
    """Tell whether this Hydra job is a trial of a search, without a look at its study."""
    if not HydraConfig.initialized():
        return False
    return is_of_search(HydraConfig.get())


def is_of_search(hydra: Any) -> bool:
    """Tell whether a job is a trial of a search.

    Args:
        hydra: the `hydra` node of the job's whole config, of which its keys may be made.
    """
    sweeper: Any = hydra.sweeper
    if hydra.mode != RunMode.MULTIRUN or sweeper is None:
        return False
    return bool(sweeper.get("_target_") == SWEEPER and sweeper.enabled)
