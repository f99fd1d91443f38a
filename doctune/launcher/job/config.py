"""A job's config without the copies of it that Hydra makes and nobody keeps.

They took more than half of what a short job costs.
"""

from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from omegaconf import DictConfig, OmegaConf


class SharedConfig(HydraConfig):
    """What `HydraConfig` is where jobs run: it holds a job's config itself.

    Hydra's own makes a copy at each of two moments of a job, and `run_job` another one.
    """

    @classmethod
    def install(cls) -> None:
        """Stand in for Hydra's own in this process, with what that holds."""
        held = HydraConfig.instance()
        if isinstance(held, cls):
            return
        shared: Any = cls()
        shared.cfg = held.cfg
        Singleton._instances[HydraConfig] = shared

    def set_config(self, cfg: DictConfig) -> None:
        """Hold the config of a job."""
        OmegaConf.set_readonly(cfg.hydra, True)
        # The node stays a child of the whole config, in which it looks for other keys.
        holder: Any = OmegaConf.create({})
        holder._content["hydra"] = cfg._get_node("hydra")
        _become(holder, _CopiedAsItself)
        self.cfg = holder


class _CopiedAsItself(DictConfig):
    """Hydra's part of a job's config: the first copy, which `run_job` makes to show it, is it."""

    def __deepcopy__(self, memo: dict[int, Any]) -> DictConfig:
        _become(self, DictConfig)
        return self


class _CopiedForTask(DictConfig):
    """A job's config: the first copy, from which `run_job` deletes Hydra's part, has none."""

    def __deepcopy__(self, memo: dict[int, Any]) -> DictConfig:
        _become(self, DictConfig)
        memo[id(self._get_node("hydra"))] = DictConfig({})
        return self.__deepcopy__(memo)


def _become(config: DictConfig, kind: type[DictConfig]) -> None:
    # Past the config's own attributes, which are its keys.
    object.__setattr__(config, "__class__", kind)


def for_one_job(config: DictConfig) -> DictConfig:
    """Return a config, the same one, that `run_job` is to be given next."""
    _become(config, _CopiedForTask)
    return config
