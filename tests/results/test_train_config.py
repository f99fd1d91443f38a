"""The train config of a study: complete, with the searched values, open to overrides."""

import re
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from tests.conftest import CONF
from tests.results.example_study import make_study, written


def test_the_train_config_is_complete_and_takes_overrides(
    tmp_path: Path, search_config: Any
) -> None:
    study = make_study(complete=3)
    files, _ = written(study, tmp_path, search_config)
    assert files.train_config is not None
    assert files.command is not None
    text = files.train_config.read_text()
    assert files.command in text
    assert "hparams_search" not in text
    assert re.search(r"lr: [\d.e-]+  # searched: 1e-05 to 0.01, log scale", text)
    assert "n_images: 480  # given on the command line" in text

    def trains(*overrides: str) -> Any:
        with initialize_config_dir(str(tmp_path)):
            directory = f"hydra.searchpath=[file://{CONF}]"
            return compose(files.train_config.stem, [directory, *overrides])  # type: ignore[union-attr]

    found, plain = (
        trains(),
        compose_plain("model=resnet50", "gpu=cpu", "data.n_images=480", "data.img_size=32"),
    )
    for key, value in study.best_params.items():
        assert OmegaConf.select(found, key) == value
        OmegaConf.update(plain, key, value)
    for section in (
        "model",
        "data",
        "augment",
        "optimizer",
        "scheduler",
        "loss",
        "trainer",
        "seed",
    ):
        assert found[section] == plain[section], section
    assert trains("model=convnext_tiny").model.name == "convnext_tiny"
    assert trains("optimizer.lr=1").optimizer.lr == 1
    assert trains("gpu=rtx3070").trainer.precision == compose_plain("gpu=rtx3070").trainer.precision


def compose_plain(*overrides: str) -> Any:
    with initialize_config_dir(CONF):
        return compose("train", list(overrides))
