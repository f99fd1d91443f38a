"""What a preset searches in a model is what acts on it."""

from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from doctune.space.entries import typed_distributions
from src.before import config as config
from src.before.models import notes_on_model
from src.hardware import profile as profile
from tests.conftest import CONF


def searched(*words: str) -> tuple[dict[str, Any], list[str]]:
    """Return key -> range of the preset `precise`, and what is told of the model."""
    with initialize_config_dir(CONF):
        cfg = compose(
            "train", ["gpu=cpu", "hparams_search=precise", *words], return_hydra_config=True
        )
    HydraConfig.instance().set_config(cfg)
    return typed_distributions(cfg.hydra.sweeper.search_space, cfg), notes_on_model(cfg)


@pytest.mark.parametrize(
    ("name", "size", "poolings", "drop_path", "told"),
    [
        ("test_vit", 64, ("token", "avg", "max"), True, None),
        # timm refuses max here, and the preset could not start.
        ("beit_base_patch16_224", 224, None, True, "model.pooling is left out of the search"),
        ("lcnet_035", 64, ("avg", "max"), False, "model.drop_path_rate is left out of the search"),
    ],
)
def test_what_does_nothing_is_left_out_and_told(
    name: str, size: int, poolings: tuple[str, ...] | None, drop_path: bool, told: str | None
) -> None:
    space, notes = searched(f"model.name={name}", f"data.img_size={size}")
    assert ("model.drop_path_rate" in space) is drop_path
    assert "model.drop_rate" in space
    chosen = space.get("model.pooling")
    assert (chosen.choices if chosen is not None else None) == poolings
    assert [note for note in notes if told and note.startswith(told)] or (not told and not notes)


def test_an_optimizers_own_range_goes_before_the_models() -> None:
    of_sgd = searched("optimizer=sgd")[0]["optimizer.lr"]
    assert (of_sgd.low, of_sgd.high) == (5e-3, 0.5)
    of_muon = searched("optimizer=muon")[0]["optimizer.lr"]
    assert (of_muon.low, of_muon.high) == (5e-4, 0.1)
