"""Depthwise convolutions without cuDNN: the same scores, gradients and copies of a model."""

import copy
from typing import Any

import pytest
import timm
import torch
from torch import nn

from src.data.image_set import ImageSet
from src.training import depthwise
from src.training.depthwise import OwnConv2d, own_kernels_pay, use_own_kernels
from src.training.fit import fit
from src.trial import run as run  # registers the resolvers of the configs
from tests.conftest import Compose

# TensorFlow's padding, large kernels with a bias, and several outputs of a channel.
MODELS = ("tf_efficientnet_lite0", "convnext_atto", "mixnet_s")


# In half precision one of them; all of them are the same layers.
@pytest.mark.parametrize(
    ("name", "half"),
    [
        *((name, False) for name in MODELS),
        *(
            pytest.param(
                name, True, marks=[] if name == "convnext_atto" else [pytest.mark.thorough]
            )
            for name in MODELS
        ),
    ],
)
def test_scores_and_gradients_stay(name: str, half: bool) -> None:
    torch.manual_seed(0)
    plain: Any = timm.create_model(name, num_classes=3).eval()
    plain = plain.to(memory_format=torch.channels_last)
    own = copy.deepcopy(plain)
    assert use_own_kernels(own) == sum(
        isinstance(part, nn.Conv2d) and part.groups == part.in_channels > 1
        for part in plain.modules()
    )
    images = torch.rand(2, 3, 32, 32).contiguous(memory_format=torch.channels_last)
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


def test_the_key_trains_with_them(
    cfg: Compose, blobs: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def pays(_: Any, batches: int, device: torch.device) -> bool:
        asked.append((batches, device.type))
        return True

    monkeypatch.setattr("src.training.fit.own_kernels_pay", pays)
    words = ("model.name=test_efficientnet", "data.img_size=32", "logger=none")
    losses = []
    for who in ("cudnn", "torch", "auto"):
        config = cfg(*words, "data.batch_size=32", f"trainer.depthwise={who}")
        found = fit(config, blobs, blobs, max_epochs=1, seed=0, output_dir=None)
        own = [part for part in found.module.modules() if isinstance(part, OwnConv2d)]
        assert bool(own) is (who != "cudnn")
        losses.append(float(found.trainer.callback_metrics["val/loss"]))
    assert losses == pytest.approx(losses[:1] * 3, rel=1e-3)
    # 2 batches of 32 of the 90 images.
    assert asked == [(2, "cpu")]


# 75 batches of 64 images an epoch, as of 4,800 images; the two are even at 25,667 images of 224 px.
RUN = ("gpu=h100", "data.batch_size=64", "data.img_size=224")
SIX = ("optuna.n_jobs=6", "gpu.trials_per_device=auto")
SEARCH = ("optuna.n_jobs=1", "optuna.n_trials=20", "quick_validation.folds=3")


@pytest.mark.parametrize(
    ("words", "epochs", "in_trial", "pays"),
    [
        # 24,000 images, 28,800 images, and the first again at 256 px: 1.3 times the pixels.
        ((), 5, False, True),
        ((), 6, False, False),
        (("data.img_size=256",), 5, False, False),
        # A trial of 3 folds, 5 trials for each of 4 batch sizes: 15 times so many.
        (SEARCH, 1, True, False),
        # The same trials spread over 5 workers: 3 times so many.
        ((*SEARCH, "optuna.n_jobs=5"), 1, True, True),
        # Many trials, of which a minute has time for few where six share the card.
        ((*SEARCH, "optuna.n_trials=300", *SIX), 1, True, False),
        ((*SEARCH, "optuna.n_trials=300", *SIX, "optuna.timeout=115"), 1, True, True),
        ((*SEARCH, "optuna.n_trials=300", "optuna.timeout=115"), 1, True, False),
        # What was not measured, or compiles nothing.
        (("trainer.precision=32-true",), 1, False, False),
        (("trainer.channels_last=false",), 1, False, False),
        (("trainer.compile=true",), 1, False, False),
    ],
)
def test_own_kernels_where_they_save_more_than_they_cost(
    cfg: Compose,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    epochs: int,
    in_trial: bool,
    pays: bool,
) -> None:
    monkeypatch.setattr(depthwise, "_compiles", lambda: True)
    monkeypatch.setattr(depthwise, "is_trial", lambda: in_trial)
    found = cfg(*RUN, "trainer.depthwise=auto", *words)
    assert own_kernels_pay(found, 75 * epochs, torch.device("cuda")) is pays
    assert not own_kernels_pay(found, 75 * epochs, torch.device("cpu"))


def test_an_older_cudnn_compiles_none(cfg: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cfg(*RUN)
    assert found.trainer.depthwise == "auto"
    for version, pays in ((None, False), (90900, False), (91000, True)):
        monkeypatch.setattr(torch.backends.cudnn, "version", lambda version=version: version)
        assert own_kernels_pay(found, 75, torch.device("cuda")) is pays
