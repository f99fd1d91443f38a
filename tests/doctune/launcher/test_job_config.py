"""A job whose config is copied less often is the job that Hydra runs."""

import copy
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from doctune.launcher.job.config import SharedConfig, for_one_job


@pytest.fixture
def singletons(monkeypatch: pytest.MonkeyPatch) -> None:
    # Copies, as what is done to one would be left behind with the dictionary.
    copies = {kind: copy.copy(one) for kind, one in Singleton._instances.items()}
    monkeypatch.setattr(Singleton, "_instances", copies)


class Callbacks:
    """Copies the config itself, as a callback of an app may."""

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        self.copied = copy.deepcopy(config)
        self.shown = copy.deepcopy(HydraConfig.instance().cfg)

    def on_job_end(self, **_: Any) -> None:
        pass


def seen_of_job(folder: Path, *, shared: bool) -> tuple[Any, ...]:
    """Run a job; return all that it, its callbacks and its caller see of the config."""
    callbacks: Any = Callbacks()
    seen: list[Any] = []

    def task(cfg: DictConfig) -> float:
        seen.extend((OmegaConf.to_container(cfg), type(cfg), HydraConfig.get().job.num))
        seen.append(cfg.doubled)
        cfg.x = 5
        return float(cfg.x)

    with initialize(None):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        words = ["+x=1", "+doubled=${x}", "+job=${hydra:job.name}"]
        config = hydra.compose_config(None, words, run_mode=RunMode.MULTIRUN)
        with open_dict(config):
            config.hydra.job.num, config.hydra.sweep.dir = 3, str(folder)
            config.hydra.runtime.output_dir = "?"
        ended: JobReturn = run_job(
            task,
            for_one_job(config) if shared else config,
            "hydra.sweep.dir",
            "hydra.sweep.subdir",
            HydraContext(hydra.config_loader, callbacks),
        )
    files = {path.name: path.read_text() for path in folder.glob("3/.hydra/*")}
    assert len(files) == 3
    shown: list[Any] = [callbacks.copied, callbacks.shown, ended.cfg, ended.hydra_cfg]
    return *seen, *map(OmegaConf.to_container, shown), ended.return_value, files


def test_a_job_that_is_copied_less_is_the_same(
    tmp_path: Path, singletons: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = seen_of_job(tmp_path, shared=False)
    SharedConfig.install()
    assert seen_of_job(tmp_path, shared=True) == stock
