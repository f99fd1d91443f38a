"""Depthwise convolutions without cuDNN: the same scores, gradients and copies of a model."""

import copy
from typing import Any

import pytest
import timm
import torch
from torch import nn

from src.data.image_set import ImageSet
from src.training.depthwise import OwnConv2d, use_own_kernels
from src.training.fit import fit
from tests.conftest import Compose

# TensorFlow's padding, large kernels with a bias, and several outputs of a channel.
MODELS = ("tf_efficientnet_lite0", "convnext_atto", "mixnet_s")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("half", [False, True])
def test_scores_and_gradients_stay(name: str, half: bool) -> None:
    torch.manual_seed(0)
    plain: Any = timm.create_model(name, num_classes=3).eval()
    plain = plain.to(memory_format=torch.channels_last)
    own = copy.deepcopy(plain)
    assert use_own_kernels(own) == sum(
        isinstance(part, nn.Conv2d) and part.groups == part.in_channels > 1
        for part in plain.modules()
    )
    images = torch.rand(2, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    found = []
    for model in (plain, own, copy.deepcopy(own)):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            scores = model(images)
        scores.float().square().sum().backward()
        found.append((scores, [parameter.grad for parameter in model.parameters()]))
        assert list(model.state_dict()) == list(plain.state_dict())
    for scores, gradients in found[1:]:
        near = 2e-2 if half else 1e-4
        torch.testing.assert_close(scores, found[0][0], atol=near, rtol=near)
        if not half:
            for mine, theirs in zip(gradients, found[0][1], strict=True):
                torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-3)


def test_a_copy_trains_its_own_weights() -> None:
    model: Any = timm.create_model("convnext_atto", num_classes=3)
    use_own_kernels(model)
    other = copy.deepcopy(model)
    other(torch.rand(1, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(parameter.grad is not None for parameter in other.parameters())


def test_the_key_trains_with_them(cfg: Compose, blobs: ImageSet) -> None:
    words = ("model.name=test_efficientnet", "data.img_size=32", "logger=none")
    losses = []
    for who in ("cudnn", "torch"):
        config = cfg(*words, f"trainer.depthwise={who}")
        found = fit(config, blobs, blobs, max_epochs=1, seed=0, output_dir=None)
        own = [part for part in found.module.modules() if isinstance(part, OwnConv2d)]
        assert bool(own) is (who == "torch")
        losses.append(float(found.trainer.callback_metrics["val/loss"]))
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
