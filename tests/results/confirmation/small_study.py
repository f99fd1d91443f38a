"""A study of three configurations whose trials are made up and can really be run again."""

import copy
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial

from tests.conftest import CONF, TINY

LR = FloatDistribution(1e-5, 1e-1, log=True)


@pytest.fixture
def study(tmp_path: Path, cache_dir: Path) -> optuna.Study:
    """Return a study of the defaults and two better ones, in storage and in folders."""
    with initialize_config_dir(CONF):
        overrides = ["hparams_search=fast", *TINY, f"data.cache_dir={cache_dir}"]
        config = compose("train", overrides, return_hydra_config=True)
    OmegaConf.set_struct(config, False)
    OmegaConf.set_readonly(config.hydra, False)
    (tmp_path / "multirun").mkdir()
    storage = f"sqlite:///{tmp_path / 'multirun' / 'optuna.db'}"
    study = optuna.create_study(storage=storage, study_name="small", direction="maximize")
    study.set_metric_names(["f1"])
    for number, lr in enumerate((1e-5, 2e-3, 2e-3, 4e-3)):
        attrs: dict[str, Any] = {"folds": [0.1 + lr] * 2, "epochs": 4, "train_seconds": 8.0}
        attrs |= {"defaults": True} if number == 0 else {}
        study.add_trial(
            create_trial(
                value=0.1 + lr,
                params={"optimizer.lr": lr},
                distributions={"optimizer.lr": LR},
                user_attrs=attrs,
            )
        )
        folder = tmp_path / "multirun" / "small" / str(number) / ".hydra"
        folder.mkdir(parents=True)
        job = copy.deepcopy(config)
        job.optimizer.lr = lr
        OmegaConf.save(OmegaConf.create({"hydra": job.pop("hydra")}), folder / "hydra.yaml")
        OmegaConf.save(job, folder / "config.yaml")
    return study
