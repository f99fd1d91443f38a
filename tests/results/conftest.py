"""The config of a search, for its results."""

import copy
import functools
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from tests.conftest import CONF


@pytest.fixture
def search_config() -> Any:
    """Return the config of a search as the sweeper has it."""
    return copy.deepcopy(_composed())


@functools.cache
def _composed() -> DictConfig:
    with initialize_config_dir(CONF):
        found = compose(
            "train",
            [
                "hparams_search=fast",
                "model=resnet50",
                "gpu=cpu",
                "data.n_images=480",
                "data.img_size=32",
            ],
            return_hydra_config=True,
        )
    OmegaConf.set_struct(found, False)
    OmegaConf.set_readonly(found.hydra, False)
    return found
