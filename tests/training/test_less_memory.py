"""Profiles of cards, mixed precision and gradient checkpointing: the same training, less memory."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.functional import cross_entropy

from doctune.errors import UserError
from src.before.checks import check_run
from src.data.image_set import ImageSet
from src.hardware.profile import PROFILES
from src.training.backbone import check_backbone, create_backbone
from src.training.config import ModelConfig
from src.training.fit import fit
from tests.conftest import Compose

FAMILIES = ("test_vit", "test_convnext", "test_efficientnet")


@pytest.mark.parametrize("name", sorted(path.stem for path in PROFILES.glob("*.yaml")))
def test_every_profile_is_taken(name: str, cfg: Compose) -> None:
    config = cfg(f"gpu={name}", "trainer.accelerator=cpu", "data.img_size=32", "logger=none")
    check_run(config)
    assert config.trainer.precision == config.gpu.precision
    # Larger ones leave 1,440 images too few steps.
    assert config.data.batch_size == min(config.gpu.batch_size, 96)


# One of each precision, the one of the machine itself, and those of most and of least memory.
# Without a card "auto" is "cpu", and "t4" takes the half precision of "h100".
@pytest.mark.parametrize(
    "name",
    [*(pytest.param(one, marks=pytest.mark.thorough) for one in ("auto", "t4")), "cpu", "h100"],
)
def test_profiles_start(name: str, cfg: Compose, blobs: ImageSet) -> None:
    small = ("model.name=test_vit", "+model.kwargs={depth: 1}", "data.img_size=32", "logger=none")
    config = cfg(f"gpu={name}", "trainer.accelerator=cpu", *small)
    # In steps enough for so few images.
    config.data.batch_size, config.optimizer.lr = 16, 5e-3
    found = fit(config, blobs, blobs, max_epochs=4, seed=0, output_dir=None)
    # By chance it is ln 3; the colours are soon told apart.
    assert found.trainer.callback_metrics["val/loss"] < 0.9 * math.log(3)


def step(cfg: ModelConfig, precision: torch.dtype | None = None) -> tuple[int, Tensor, Any]:
    """Return the bytes that forward keeps for backward, the loss and the gradients of a step."""
    torch.manual_seed(0)
    model = create_backbone(cfg, 3, 64).train()
    images, labels = torch.randn(8, 3, 64, 64), torch.arange(8) % 3
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    enabled = precision is not None
    with (
        saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", dtype=precision or torch.bfloat16, enabled=enabled),
    ):
        loss = cross_entropy(model(images), labels)
    # What is computed again in backward is not kept.
    before = sum(kept.values())
    loss.backward()  # type: ignore[no-untyped-call]
    return before, loss, {name: p.grad for name, p in model.named_parameters()}


@pytest.mark.parametrize("name", FAMILIES)
def test_checkpointing_changes_no_gradient_and_keeps_less(name: str) -> None:
    kept, loss, gradients = step(ModelConfig(name))
    fewer, same_loss, same = step(ModelConfig(name, grad_checkpointing=True))
    assert fewer < 0.8 * kept
    torch.testing.assert_close(same_loss, loss)
    for parameter, gradient in gradients.items():
        torch.testing.assert_close(same[parameter], gradient)


@pytest.mark.parametrize("name", FAMILIES)
def test_mixed_precision_is_nearly_the_same_and_keeps_less(name: str) -> None:
    kept, loss, _ = step(ModelConfig(name))
    fewer, other, _ = step(ModelConfig(name), torch.bfloat16)
    assert fewer < 0.8 * kept
    torch.testing.assert_close(other.float(), loss, rtol=0.03, atol=0.03)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_byobnet"])
def test_checkpointing_changes_no_weight_and_no_statistic(name: str) -> None:
    """Batch norm's running statistics move once a step, whatever is computed twice."""

    def states(checkpointing: bool) -> dict[str, Tensor]:
        torch.manual_seed(0)
        cfg = ModelConfig(name, grad_checkpointing=checkpointing, drop_path_rate=0.2)
        model = create_backbone(cfg, 3, 32).train()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(2):
            loss = cross_entropy(model(torch.randn(6, 3, 32, 32)), torch.arange(6) % 3)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
        # Momentum and counters are the norms' own again.
        model(torch.randn(6, 3, 32, 32))
        return model.state_dict()

    plain, checkpointed = states(False), states(True)
    assert any(key.endswith("num_batches_tracked") for key in plain)
    assert [key for key in plain if not torch.equal(plain[key], checkpointed[key])] == []


def test_a_cut_off_forward_leaves_checkpointing_as_it_was() -> None:
    model = create_backbone(ModelConfig("test_resnet", grad_checkpointing=True), 3, 32).train()
    with pytest.raises(RuntimeError):
        model(torch.randn(2, 4, 32, 32))
    loss = model(torch.randn(4, 3, 32, 32)).sum()
    norms = [part for part in model.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    before = [norm.running_mean.clone() for norm in norms if norm.running_mean is not None]
    loss.backward()
    assert all(norm.momentum == 0.1 and norm.num_batches_tracked == 1 for norm in norms)
    after = [norm.running_mean for norm in norms if norm.running_mean is not None]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_checkpointing_acts_in_a_run(cfg: Compose, blobs: ImageSet) -> None:
    words = (
        *("model.name=test_vit", "+model.kwargs={depth: 2}", "data.img_size=32", "logger=none"),
        "data.batch_size=16",
    )
    scores = []
    for more in ("false", "true"):
        config = cfg(*words, f"model.grad_checkpointing={more}")
        found = fit(config, blobs, blobs, max_epochs=1, seed=0, output_dir=None)
        model: Any = found.module.model
        assert model.grad_checkpointing is (more == "true")
        scores.append(found.trainer.callback_metrics["val/loss"])
    torch.testing.assert_close(*scores)


def test_models_without_checkpointing_are_named() -> None:
    cfg = ModelConfig("inception_v4", grad_checkpointing=True)
    with pytest.raises(UserError, match=r"model.grad_checkpointing=true: timm has none for incep"):
        check_backbone(cfg, 299)


LESS = (("model.grad_checkpointing=true",), ("trainer.precision=bf16-mixed",))


def peaks_of(cfg: Compose, blobs: ImageSet, less: tuple[str, ...], gpu: str) -> list[int]:
    """Train a small ViT plainly and with less memory; return the most bytes of CUDA's allocator."""
    # Without a card there is nothing to be seen of the memory, so a part of the model will do.
    kwargs = "{patch_size: 4, depth: 1}" if gpu == "cpu" else "{patch_size: 4}"
    peaks = []
    for more in ((), less):
        config = cfg(
            *(f"gpu={gpu}", "model.name=vit_tiny_patch16_224", f"+model.kwargs={kwargs}"),
            *("data.img_size=32", "data.batch_size=64", "logger=none", "callbacks.progress=false"),
            *("trainer.precision=32-true", *more),
        )
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        fit(config, blobs, blobs, max_epochs=1, seed=0, output_dir=None)
        peaks.append(torch.cuda.max_memory_allocated())
    return peaks


def test_what_a_real_card_is_asked_to_train_trains(cfg: Compose, blobs: ImageSet) -> None:
    assert len(peaks_of(cfg, blobs, LESS[0], "cpu")) == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("less", [*LESS, ("trainer.precision=16-mixed",)])
def test_less_memory_of_a_real_card(cfg: Compose, blobs: ImageSet, less: tuple[str, ...]) -> None:
    plain, fewer = peaks_of(cfg, blobs, less, "auto")
    assert fewer < 0.9 * plain
