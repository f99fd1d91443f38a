"""Nothing in a training step waits for the device, and compiled models train the same."""

import functools
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch._dynamo.utils import counters
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import DataDependentOutputException

from src.data import loader
from src.data.augment import Augment, Normalize
from src.data.image_set import ImageSet
from src.data.loader import BatchLoader
from src.training.fit import fit
from src.training.loss import TrainingLoss, mixup
from src.training.module import Classifier
from tests.conftest import Compose

KEYS = ("data.img_size=32", "data.batch_size=16", "logger=none", "callbacks.progress=false")
ALL = ("augment=heavy", "augment.mixup_alpha=0.4", "loss.class_weights=balanced")


def test_a_step_needs_no_value_from_the_device(cfg: Compose, blobs: ImageSet) -> None:
    # Fake tensors have no values: whoever asks for one gets an error.
    config = cfg(*KEYS, *ALL)
    criterion = TrainingLoss(config.loss, 3, blobs.labels)
    with FakeTensorMode(allow_non_fake_inputs=True):
        pixels = torch.empty(16, 32, 32, 3, dtype=torch.uint8).permute(0, 3, 1, 2)
        normalize = Normalize(list(config.augment.mean), list(config.augment.std))
        images = Augment(config.augment)(normalize(pixels))
        images, targets = mixup(images, torch.zeros(16, dtype=torch.long), 3, 0.4)
        model = torch.nn.Conv2d(3, 3, 32)
        loss = criterion(model(images).flatten(1), targets)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        with pytest.raises(DataDependentOutputException):
            float(norm)


def test_channels_last_from_the_images_to_the_weights(cfg: Compose, blobs: ImageSet) -> None:
    module = Classifier(cfg(*KEYS), blobs.classes, 1, 1)
    pixels, _ = next(iter(BatchLoader(blobs, 16, shuffle=False)))
    order = torch.channels_last
    assert module.augment(module.normalize(pixels)).is_contiguous(memory_format=order)
    weights = [p for p in module.model.parameters() if p.ndim == 4]
    assert all(weight.is_contiguous(memory_format=order) for weight in weights)
    optimizer: Any = module.configure_optimizers()
    assert optimizer["optimizer"].defaults["fused"]


def test_batches_of_a_set_on_the_device_are_the_same(
    blobs: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = blobs.subset(blobs.rows[5::2])
    there = torch.from_numpy(part.images), torch.from_numpy(part.labels)
    usual = list(BatchLoader(part, 16, shuffle=True, seed=3))
    monkeypatch.setattr(loader, "_copy_to", lambda device, image_set: there)
    kept = list(BatchLoader(part, 16, shuffle=True, seed=3, device=torch.device("cuda")))
    for (images, labels), (same_images, same_labels) in zip(usual, kept, strict=True):
        assert torch.equal(images, same_images)
        assert torch.equal(labels, same_labels)
        assert images.stride() == same_images.stride()


def test_a_compiled_model_is_traced_and_trains_the_same(
    cfg: Compose, blobs: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ("model.name=test_vit", "+model.kwargs={depth: 1}")
    plain = run(cfg, blobs, "false", *small)
    counters.clear()
    # Making kernels for a CPU takes minutes.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    assert run(cfg, blobs, "true", *small) == pytest.approx(plain, rel=1e-3)
    assert counters["frames"]["ok"] > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_next_trial_finds_the_kernels(
    cfg: Compose, blobs: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    counters.clear()
    first = run(cfg, blobs, "true", "gpu=auto")
    assert counters["inductor"]["fxgraph_cache_hit"] == 0
    second = run(cfg, blobs, "true", "gpu=auto")
    assert counters["inductor"]["fxgraph_cache_hit"] > 0
    assert second == pytest.approx(first, rel=1e-2)


def run(cfg: Compose, blobs: ImageSet, compiled: str, *more: str) -> float:
    # One shape in training and one in validation.
    words = [word for word in KEYS if not word.startswith("data.batch_size")]
    config = cfg(
        *words, "model.name=test_vit", "data.batch_size=45", f"trainer.compile={compiled}", *more
    )
    found = fit(config, blobs, blobs, max_epochs=1, seed=0, output_dir=None)
    assert not any("_orig_mod" in name for name in found.module.state_dict())
    return float(found.trainer.callback_metrics["val/loss"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_no_step_waits_for_a_real_card(cfg: Compose, blobs: ImageSet) -> None:
    class Strict(pl.Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            torch.cuda.set_sync_debug_mode("error")

        def on_train_batch_end(self, *_: Any) -> None:
            torch.cuda.set_sync_debug_mode("default")

    config = cfg("gpu=auto", *KEYS, *ALL, "trainer.precision=bf16-mixed")
    fit(config, blobs, blobs, max_epochs=1, seed=0, output_dir=None, callbacks=[Strict()])
