"""Weights from a file, and mistakes that are named."""

import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from timm.layers.drop import DropPath
from torch import nn

from doctune.errors import UserError
from src.data.image_set import ImageSet
from src.training.backbone import check_backbone, create_backbone
from src.training.config import ModelConfig
from src.training.fit import fit
from tests.conftest import Compose


def differing(model: nn.Module, other: nn.Module) -> set[str]:
    theirs = other.state_dict()
    return {
        name for name, value in model.state_dict().items() if not torch.equal(value, theirs[name])
    }


def test_no_drop_path_by_default() -> None:
    model = create_backbone(ModelConfig("test_vit"), 3, 32)
    assert not any(isinstance(part, DropPath) for part in model.modules())


@pytest.mark.parametrize("name", ["poolformer_s12", "hrnet_w18_small"])
def test_models_that_refuse_the_image_size_in_timms_own_words(name: str) -> None:
    check_backbone(ModelConfig(name), 64)
    with pytest.raises(UserError, match=r"^model.name=.* does not take this.*unheard_of"):
        check_backbone(ModelConfig(name, kwargs={"unheard_of": 1}), 64)


def test_more_arguments_reach_timm() -> None:
    model = create_backbone(ModelConfig("test_resnet", kwargs={"global_pool": "max"}), 3, 32)
    assert model.get_submodule("global_pool").pool_type == "max"


@pytest.mark.parametrize("name", ["crossvit_9_240", "beit_base_patch16_224", "levit_128s"])
def test_a_pooling_that_a_model_refuses_is_what_is_told(name: str) -> None:
    size = 240 if "crossvit" in name else 224
    with pytest.raises(UserError, match=f"^model.pooling=max: {name} "):
        check_backbone(ModelConfig(name, pooling="max"), size)


@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_the_head_of_a_file_is_not_taken_even_where_it_fits(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # As many classes as the new model has, but they need not be the same classes.
    source = create_backbone(ModelConfig("test_resnet"), 3, 32)
    path = tmp_path / f"weights.{kind}"
    if kind == "pt":
        torch.save(source.state_dict(), path)
    else:
        save_file(source.state_dict(), path)
    with caplog.at_level(logging.INFO, "src.training.weights"):
        model = create_backbone(ModelConfig("test_resnet", checkpoint_path=str(path)), 3, 32)
    assert differing(model, source) == {"fc.weight", "fc.bias"}
    assert "not taken: ['fc.bias', 'fc.weight']" in caplog.text


def test_the_checkpoint_of_a_run_can_be_started_from(
    cfg: Compose, blobs: ImageSet, tmp_path: Path
) -> None:
    config = cfg("data.img_size=32", "callbacks.progress=false", "logger=none")
    result = fit(config, blobs, blobs, max_epochs=1, seed=0, output_dir=tmp_path)
    start = ModelConfig(config.model.name, checkpoint_path=str(result.checkpoint))
    model = create_backbone(start, 3, 32)
    assert differing(model, result.module.model.cpu()) == {"fc.weight", "fc.bias"}


@pytest.mark.parametrize(
    ("cfg", "parts"),
    [
        (ModelConfig("convnext_bse"), ["model.name=convnext_bse", "convnext_base"]),
        (ModelConfig("test_resnet.none"), ["model.name=test_resnet.none", "r160_in1k"]),
        (ModelConfig("vgg11", drop_path_rate=0.1), ["model.drop_path_rate=0.1", "vgg11"]),
        (ModelConfig("test_resnet", kwargs={"global_pool": "sum"}), ["model.kwargs", "sum"]),
    ],
    ids=["name", "weights", "drop path", "value"],
)
def test_mistakes_are_named(cfg: ModelConfig, parts: list[str]) -> None:
    with pytest.raises(UserError) as error:
        create_backbone(cfg, 3, 32)
    assert all(part in str(error.value) for part in parts), error.value


# The second and third begin with opcodes of pickles: a table, and a tuple of nothing.
@pytest.mark.parametrize("content", ["hello", "a,b\n1,2\n", "file,label\na.png,x\n", "t.", ""])
@pytest.mark.parametrize("name", ["bad.pt", "bad.safetensors"])
def test_a_file_that_holds_no_weights(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    cfg = ModelConfig("test_resnet", checkpoint_path=str(tmp_path / name))
    with pytest.raises(UserError, match="is no file of weights") as refused:
        create_backbone(cfg, 3, 32)
    # PyTorch advises to let the file run code.
    assert "weights_only" not in str(refused.value)


def test_weights_of_another_model(tmp_path: Path) -> None:
    torch.save({"other": torch.zeros(2)}, tmp_path / "other.pt")
    cfg = ModelConfig("test_resnet", checkpoint_path=str(tmp_path / "other.pt"))
    with pytest.raises(UserError, match="nothing in it fits"):
        create_backbone(cfg, 3, 32)
    # Ten tensors of a small ResNet have the names and shapes of a ResNet50's.
    weights = create_backbone(ModelConfig("test_resnet"), 3, 32).state_dict()
    torch.save(weights, tmp_path / "best.pt")
    (tmp_path / "config.yaml").write_text("model: {name: test_resnet}")
    cfg = ModelConfig("resnet50", checkpoint_path=str(tmp_path / "best.pt"))
    with pytest.raises(UserError, match=r"only \d+ of its tensors .* give model.name=test_resnet"):
        create_backbone(cfg, 3, 32)
