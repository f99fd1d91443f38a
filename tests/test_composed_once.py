"""What is composed once is what Hydra composes, for each command by itself."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from omegaconf import OmegaConf

from src.before import config as config
from tests import composed_once
from tests.conftest import CONF


def composed(folder: str, name: str, *words: str) -> Any:
    with initialize_config_dir(folder):
        return compose(name, list(words), return_hydra_config=True)


@pytest.mark.parametrize(
    "words", [(), ("hparams_search=fast", "+search_space=optimizer", "model=resnet50")], ids=str
)
def test_it_is_what_hydra_makes(words: tuple[str, ...]) -> None:
    here = [composed(CONF, "train", *words, "seed=7") for _ in range(2)]
    with (
        patch.object(ConfigRepository, "load_config", composed_once.load),
        patch.object(
            ConfigLoaderImpl, "_compose_config_from_defaults_list", composed_once.put_together
        ),
    ):
        hydras = composed(CONF, "train", *words, "seed=7")
    for one in here:
        assert OmegaConf.to_yaml(one) == OmegaConf.to_yaml(hydras)
        assert OmegaConf.get_type(one.optimizer) is OmegaConf.get_type(hydras.optimizer)
        assert one._metadata.flags == hydras._metadata.flags


def test_nobody_gets_what_another_has_written_or_a_file_that_has_changed(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "app.yaml").write_text("defaults: [part: a, _self_]\nx: [1]\n")
    (tmp_path / "part" / "a.yaml").write_text("y: {z: 1}\n")
    first = composed(str(tmp_path), "app")
    first.x.append(2)
    first.part.y.z = 3
    second = composed(str(tmp_path), "app")
    assert (list(second.x), second.part.y.z) == ([1], 1)
    (tmp_path / "part" / "a.yaml").write_text("y: {z: 22}\n")
    assert composed(str(tmp_path), "app").part.y.z == 22
