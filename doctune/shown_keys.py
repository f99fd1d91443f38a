"""What the keys of the sweeper are called in messages: as the app calls them.

An app may give its own keys to the sweeper (`n_trials: ${optuna.n_trials}`), as `conf/train.yaml`
does; what its users can type is `optuna.n_trials` then, and `hydra.sweeper.n_trials` elsewhere.
"""

import re
from typing import Any

from omegaconf import DictConfig

# Keys that have no `optuna.` before them in `conf/`, for whoever opens a study without a sweep.
ON_TOP = ("search_space", "focus")
_names: dict[str, str] = {}


def show_keys_of(config: DictConfig) -> None:
    """Take the names from the config of a sweep, for all messages of this process.

    Args:
        config: with its interpolations.
    """
    sweeper: Any = config.hydra.sweeper
    for name in sweeper:
        node = sweeper._get_node(name)
        text = str(node._value()) if node is not None else ""
        own = re.fullmatch(r"\$\{([\w.]+)\}", text)
        _names[str(name)] = own[1] if own else f"hydra.sweeper.{name}"


def shown(name: str) -> str:
    """Return what a user types for a key of the sweeper."""
    return _names.get(name, name if name in ON_TOP else f"optuna.{name}")


def key_of_folder(config: DictConfig) -> str:
    """Return what a user types to have a sweep's folder elsewhere."""
    own = re.match(r"\$\{([\w.]+)\}/", _folder_as_written(config))
    return own[1] if own else "hydra.sweep.dir"


def is_named_by_time(config: DictConfig) -> bool:
    """Tell whether each run of a command has a sweep's folder of its own, as Hydra has it."""
    return "${now:" in _folder_as_written(config)


def _folder_as_written(config: DictConfig) -> str:
    return str(config.hydra.sweep._get_node("dir")._value())
