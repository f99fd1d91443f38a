"""What is scored has batch norm's statistics of its own weights, and training goes on as before."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from timm.layers.evo_norm import EvoNorm2dB0
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from src.data.image_set import ImageSet
from src.inference.trained_model import TrainedModel
from src.training.backbone import create_backbone
from src.training.batch_norm import (
    images_for_statistics,
    norms_with_statistics,
    take_statistics,
)
from src.training.config import ModelConfig
from src.training.exact_statistics import statistics_loader
from src.training.fit import FitResult, evaluation_batch, fit
from src.trial.kept_scores import KeepScores
from tests.conftest import Compose

# Few steps, so that running averages are stale; dropout and augmentation draw at random.
WORDS = (
    *("data.img_size=32", "data.batch_size=30", "logger=none", "callbacks.progress=false"),
    *("augment=document", "model.drop_rate=0.2", "optimizer.lr=0.01"),
)


def uneven_batches(mean: float = 0.0) -> list[Tensor]:
    """Return batches [B, 4, 6, 6] of 7, 2 and 12 images, each batch with a level of its own."""
    generator = torch.Generator().manual_seed(0)
    sizes = ((7, -2.0), (2, 5.0), (12, 0.5))
    return [torch.randn(n, 4, 6, 6, generator=generator) + level + mean for n, level in sizes]


@pytest.mark.parametrize(
    ("norm", "mean"), [(nn.BatchNorm2d(4), 0.0), (nn.BatchNorm2d(4), 1e3), (EvoNorm2dB0(4), 0.0)]
)
def test_they_are_those_of_all_images_together(norm: Any, mean: float) -> None:
    model = nn.Sequential(norm).eval()
    batches = uneven_batches(mean)
    take_statistics(model, batches)
    everything = np.concatenate([batch.double().numpy() for batch in batches])
    # One value for each channel, of all images and places.
    values = everything.transpose(1, 0, 2, 3).reshape(4, -1)
    np.testing.assert_allclose(norm.running_var, values.var(1, ddof=1), rtol=1e-4)
    if isinstance(norm, nn.BatchNorm2d):
        assert norm.running_mean is not None
        np.testing.assert_allclose(norm.running_mean, values.mean(1), rtol=1e-5)
    assert not norm.training
    assert norm.momentum == 0.1
    assert not norm._forward_hooks


def test_for_one_batch_they_are_those_of_torchs_update_bn() -> None:
    torch.manual_seed(0)
    ours, theirs = (create_backbone(ModelConfig(), 3, 32) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(24, 3, 32, 32)
    take_statistics(ours.eval(), [images])
    update_bn([images], theirs)
    for mine, other in zip(_statistics(ours), _statistics(theirs), strict=True):
        torch.testing.assert_close(mine, other)


def test_what_cannot_be_taken_is_left() -> None:
    unused = nn.BatchNorm2d(4)
    model = nn.Sequential(nn.Identity()).eval()
    model.add_module("aside", nn.ModuleList([unused]))
    model.forward = lambda images: images  # type: ignore[method-assign]
    take_statistics(model, uneven_batches())
    assert torch.equal(unused.running_var, torch.ones(4))  # type: ignore[arg-type]


def test_a_model_without_batch_norm_is_not_run() -> None:
    def never() -> Iterator[Tensor]:
        raise AssertionError("its images were asked for")
        yield

    take_statistics(create_backbone(ModelConfig("test_vit"), 3, 32).eval(), never())


def test_an_incomplete_batch_is_left_out() -> None:
    assert images_for_statistics(512, 1000, 96) == 480
    assert images_for_statistics(512, 1000, 64) == 512
    assert images_for_statistics(512, 90, 96) == 90
    assert images_for_statistics(512, 129, 64) == 128
    assert images_for_statistics(0, 1000, 64) == 0


def test_all_trials_of_a_fold_take_the_same_images(blobs: ImageSet) -> None:
    found = [
        torch.cat([images for images, _ in statistics_loader(blobs, 64, size, seed)])
        for seed, size in ((3, 16), (3, 32), (4, 16))
    ]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def trained(
    cfg: Compose,
    blobs: ImageSet,
    *words: str,
    epochs: int = 2,
    folder: Path | None = None,
    callbacks: Any = (),
    decided_after: tuple[int, ...] | None = None,
) -> FitResult:
    given = {word.partition("=")[0] for word in words}
    config = cfg(*(word for word in WORDS if word.partition("=")[0] not in given), *words)
    train, val = blobs.subset(np.arange(60)), blobs.subset(np.arange(60, 90))
    return fit(
        *(config, train, val),
        max_epochs=epochs,
        seed=3,
        output_dir=folder,
        callbacks=list(callbacks),
        decided_after=decided_after,
    )


class Losses(pl.Callback):
    """Keeps what is said of the images held out after each epoch."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.found.append(float(trainer.callback_metrics["val/loss"]))


@pytest.mark.parametrize("count", [0, 30])
def test_where_nothing_is_decided_they_are_of_fewer_images(
    cfg: Compose, blobs: ImageSet, count: int
) -> None:
    def losses(*words: str, decided_after: tuple[int, ...] | None = None) -> list[float]:
        kept = Losses()
        trained(cfg, blobs, *words, callbacks=[kept], decided_after=decided_after)
        return kept.found

    exact, fewer = losses(), losses(f"trainer.precise_bn={count}")
    both = losses(f"quick_validation.precise_bn={count}", decided_after=(2,))
    assert both == [fewer[0], exact[1]]
    assert all(abs(one - other) > 1e-4 for one, other in zip(exact, fewer, strict=True))


def test_training_goes_on_as_without(cfg: Compose, blobs: ImageSet) -> None:
    left, exact = (
        trained(cfg, blobs, f"trainer.precise_bn={count}").module.model for count in (0, 512)
    )
    for mine, other in zip(left.parameters(), exact.parameters(), strict=True):
        assert torch.equal(mine, other)
    pairs = zip(_statistics(left), _statistics(exact), strict=True)
    assert not any(torch.allclose(mine, other, rtol=0.05) for mine, other in pairs)


def test_what_was_scored_is_what_the_checkpoint_holds_and_predicts(
    cfg: Compose, blobs: ImageSet, tmp_path: Path
) -> None:
    scored = KeepScores()
    # One epoch, so that it is the best.
    result = trained(cfg, blobs, epochs=1, folder=tmp_path, callbacks=[scored])
    assert result.checkpoint is not None
    state = torch.load(result.checkpoint, weights_only=True)["state_dict"]
    weights = {k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")}
    model = TrainedModel(result.module.cfg, blobs.classes, (), weights).eval()
    images = torch.from_numpy(blobs.pixels[60:]).permute(0, 3, 1, 2)
    with torch.no_grad():
        found = model(images).numpy()
    np.testing.assert_allclose(found, np.exp(scored.scores()), atol=1e-3)


@pytest.mark.parametrize(
    "more", [("trainer.micro_batch_size=4",), ("model.grad_checkpointing=true",)]
)
def test_pieces_and_checkpointing_have_those_of_their_weights(
    cfg: Compose, blobs: ImageSet, more: tuple[str, ...]
) -> None:
    module = trained(cfg, blobs, *more).module.eval()
    train = blobs.subset(np.arange(60))
    first, entered = norms_with_statistics(module.model)[0], list[Tensor]()
    first.register_forward_pre_hook(lambda norm, inputs: entered.append(inputs[0]))
    # What goes into the first norm does not depend on how many images go through at a time.
    with torch.no_grad():
        for images, _ in statistics_loader(train, 512, evaluation_batch(module.cfg), 3):
            module(images)
    values = torch.cat(entered)
    torch.testing.assert_close(first.running_mean, values.mean((0, 2, 3)), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(first.running_var, values.var((0, 2, 3)), rtol=1e-3, atol=1e-5)


def test_a_check_before_training_takes_none(
    cfg: Compose, blobs: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[nn.Module] = []
    monkeypatch.setattr(
        "src.training.exact_statistics.take_statistics", lambda model, images: taken.append(model)
    )
    trained(cfg, blobs, "+trainer.kwargs.num_sanity_val_steps=1")
    assert len(taken) == 2


def _statistics(model: nn.Module) -> list[Tensor]:
    return [
        getattr(norm, name)
        for norm in norms_with_statistics(model)
        for name in ("running_mean", "running_var")
    ]
