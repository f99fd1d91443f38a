"""A batch that goes through the model in pieces is the same training step."""

from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from src.data.image_set import ImageSet
from src.training.fit import fit
from tests.conftest import Compose

# Without batch norm, and without dropout, whose draws depend on the order of the images.
KEYS = (
    *("model.name=test_vit", "+model.kwargs={depth: 1}"),
    *("data.img_size=32", "data.batch_size=16", "logger=none"),
    *("optimizer=sgd", "optimizer.lr=0.1", "callbacks.progress=false"),
)


class Watch(pl.Callback):
    """Keeps loss and learning rate of each batch, and how many images went through at a time."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.rates: list[float] = []
        self.norms: list[float] = []
        self.pieces: list[int] = []
        self.evaluated: list[int] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        pl_module.model.register_forward_pre_hook(self._keep)

    def _keep(self, model: torch.nn.Module, inputs: Any) -> None:
        (self.pieces if model.training else self.evaluated).append(len(inputs[0]))

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        grads = [p.grad.norm() for p in pl_module.parameters() if p.grad is not None]
        self.norms.append(float(torch.stack(grads).norm()))

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, *_: Any) -> None:
        self.losses.append(float(outputs["loss"]))
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


@pytest.fixture
def uneven(blobs: ImageSet) -> ImageSet:
    """Return 50 images, 30, 12 and 8 of a class: three batches of 16 and two left out."""
    rows = [np.arange(label, 90, 3)[:count] for label, count in enumerate((30, 12, 8))]
    return blobs.subset(np.concatenate(rows))


def train(cfg: Compose, images: ImageSet, *words: str) -> tuple[Watch, list[torch.Tensor]]:
    watch = Watch()
    keys = {word.split("=")[0] for word in words}
    config = cfg(*(key for key in KEYS if key.split("=")[0] not in keys), *words)
    result = fit(
        *(config, images, images), max_epochs=2, seed=1, output_dir=None, callbacks=[watch]
    )
    return watch, [parameter.detach() for parameter in result.module.model.parameters()]


@pytest.mark.parametrize(
    "words",
    [
        ("loss.label_smoothing=0.2",),
        ("augment.mixup_alpha=0.6", "augment=document"),
        ("loss.class_weights=balanced",),
        ("loss.class_weights=balanced", "augment.mixup_alpha=0.6"),
        ("loss.class_weights=logit_adjustment",),
        ("callbacks.gradient_clip_norm=0.2",),
        ("trainer.accumulate_grad_batches=2",),
        ("data.batch_size=64",),
    ],
    ids=[
        "smoothing",
        "mixup",
        "weights",
        "weights, mixup",
        "logit adjustment",
        "clipping",
        "accumulating",
        "one batch",
    ],
)
def test_losses_gradients_and_weights_are_those_of_the_whole_batch(
    cfg: Compose, uneven: ImageSet, words: tuple[str, ...]
) -> None:
    whole, expected = train(cfg, uneven, *words)
    cut, found = train(cfg, uneven, *words, "trainer.micro_batch_size=6")
    assert max(cut.pieces) <= 6 < max(whole.pieces)
    assert sum(cut.pieces) == sum(whole.pieces)
    assert cut.losses == pytest.approx(whole.losses, rel=1e-4)
    assert cut.norms == pytest.approx(whole.norms, rel=1e-3)
    assert cut.rates == whole.rates
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


def test_pieces_are_even_and_fewer_images_are_scored_at_a_time(
    cfg: Compose, uneven: ImageSet
) -> None:
    watch, _ = train(cfg, uneven, "trainer.micro_batch_size=6")
    assert watch.pieces[:3] == [6, 5, 5]
    assert watch.evaluated[:5] == [12, 12, 12, 12, 2]


def test_mixed_precision_in_pieces(cfg: Compose, uneven: ImageSet) -> None:
    words = ("trainer.precision=bf16-mixed", "augment.mixup_alpha=0.6")
    whole, _ = train(cfg, uneven, *words)
    cut, _ = train(cfg, uneven, *words, "trainer.micro_batch_size=6")
    assert cut.losses == pytest.approx(whole.losses, rel=0.02)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_pieces_take_less_memory_and_scale_their_gradients(cfg: Compose, uneven: ImageSet) -> None:
    words = ("gpu=auto", "trainer.precision=16-mixed", "data.batch_size=48", "data.img_size=32")
    peaks, losses = [], []
    for more in ((), ("trainer.micro_batch_size=4",)):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        losses.append(train(cfg, uneven, *words, *more)[0].losses)
        peaks.append(torch.cuda.max_memory_allocated())
    assert peaks[1] < peaks[0]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
