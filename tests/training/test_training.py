"""Every part of a training run, seen by its effect."""

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_lightning.loggers import Logger
from pytorch_lightning.plugins.precision import MixedPrecision
from sklearn.metrics import f1_score

from doctune.errors import UserError
from src.data.image_set import ImageSet
from src.training.backbone import create_backbone
from src.training.callbacks import GradientClipping
from src.training.config import ModelConfig, OptimizerConfig, SchedulerConfig
from src.training.evaluate import evaluate
from src.training.fit import FitResult, fit
from src.training.loggers import open_run_log
from src.training.loss import TrainingLoss, mixup
from src.training.module import Classifier
from src.training.optimizer import build_optimizer, learning_rate_factor
from tests.conftest import Compose


def test_norms_and_biases_are_not_decayed() -> None:
    model = create_backbone(ModelConfig(), 5, 32)
    optimizer = build_optimizer(model, OptimizerConfig(weight_decay=0.3))
    decay = {
        id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]
    }
    for name, parameter in model.named_parameters():
        expected = 0.0 if parameter.ndim == 1 or name.endswith("bias") else 0.3
        assert decay[id(parameter)] == expected, name


def test_warm_up_then_cosine_for_every_step() -> None:
    cfg = SchedulerConfig(warmup_epochs=2, min_lr_ratio=0.1)
    factor = learning_rate_factor(cfg, steps_per_epoch=5, max_epochs=6)
    assert [factor(step) for step in range(10)] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert factor(10) == 1.0
    assert factor(29) == pytest.approx(0.1)
    halfway = 10 + (29 - 10) / 2
    assert factor(int(halfway)) == pytest.approx(
        0.1 + 0.9 * (1 + math.cos(math.pi * (int(halfway) - 10) / 19)) / 2
    )


@given(
    st.floats(0, 20),
    st.integers(1, 30),
    st.integers(1, 12),
    st.sampled_from(["cosine", "constant"]),
)
def test_the_learning_rate_stays_between_floor_and_peak(
    warmup: float, steps: int, epochs: int, name: str
) -> None:
    factor = learning_rate_factor(SchedulerConfig(name, warmup, 0.01), steps, epochs)
    values = [factor(step) for step in range(steps * epochs + 1)]
    assert all(0 < value <= 1 for value in values)
    assert max(values) == 1.0


def test_learning_rate_reaches_the_optimizer_step_by_step(cfg: Compose, blobs: ImageSet) -> None:
    seen: list[float] = []

    class Watch(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
            seen.append(trainer.optimizers[0].param_groups[0]["lr"])

    quick_fit(cfg("scheduler.warmup_epochs=1", "optimizer.lr=0.01"), blobs, [Watch()])
    steps = len(seen) // 2
    assert seen[:steps] == pytest.approx([0.01 * (i + 1) / steps for i in range(steps)])
    assert seen[-1] == pytest.approx(0.0001)


def test_mixup_blends_images_and_targets_alike() -> None:
    torch.manual_seed(0)
    labels = torch.arange(8)
    images = torch.nn.functional.one_hot(labels, 8).float().view(8, 8, 1, 1)[:, :3].clone()
    mixed, targets = mixup(images, labels, 8, 1.0)
    torch.testing.assert_close(targets.sum(1), torch.ones(8))
    assert ((targets > 0) & (targets < 1)).any()
    # Channel c of an image is how much of class c is in it, so it must equal the target.
    torch.testing.assert_close(mixed.view(8, 3), targets[:, :3])


def test_mixup_reaches_the_loss(
    cfg: Compose, blobs: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    forward = TrainingLoss.forward

    def watch(self: Any, scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        seen.append(targets)
        return forward(self, scores, targets)

    monkeypatch.setattr(TrainingLoss, "forward", watch)
    quick_fit(cfg("augment.mixup_alpha=0.8"), blobs)
    assert any(t.is_floating_point() and ((t > 0.05) & (t < 0.95)).any() for t in seen)


def test_label_smoothing_is_in_the_training_loss_only(cfg: Compose) -> None:
    module = Classifier(cfg("loss.label_smoothing=0.3"), ["a", "b"], 1, 1)
    scores, labels = torch.tensor([[4.0, -4.0]]), torch.tensor([0])
    assert module.train_criterion(scores, labels) > module.criterion(scores, labels).mean() + 0.5


def test_drop_path_rises_over_the_blocks_and_dropout_stands_before_the_head() -> None:
    model: Any = create_backbone(
        ModelConfig("convnext_atto", drop_rate=0.25, drop_path_rate=0.2), 3, 32
    )
    rates = [m.drop_prob for m in model.modules() if type(m).__name__ == "DropPath"]
    assert rates == sorted(rates)
    assert rates[-1] == pytest.approx(0.2)
    assert model.head.drop.p == 0.25


def test_gradients_are_clipped_and_the_norm_before_is_logged(
    cfg: Compose, blobs: ImageSet, tmp_path: Path
) -> None:
    norms: list[float] = []

    class Watch(pl.Callback):
        def on_before_zero_grad(self, trainer: Any, module: Any, optimizer: Any) -> None:
            grads = [p.grad.norm() for p in module.parameters() if p.grad is not None]
            if grads:
                norms.append(float(torch.stack(grads).norm()))

    config = cfg("callbacks.gradient_clip_norm=0.01", "trainer.log_every_n_steps=1")
    with open_run_log(config, tmp_path) as run_log:
        quick_fit(config, blobs, [Watch()], logger=run_log.part())
    assert norms
    assert max(norms) <= 0.0101
    logged = (tmp_path / "curves" / "metrics.csv").read_text().splitlines()
    column = logged[0].split(",").index("train/grad_norm")
    before = [float(line.split(",")[column]) for line in logged[1:] if line.split(",")[column]]
    assert max(before) > 0.1


def test_clipping_needs_a_positive_norm() -> None:
    with pytest.raises(UserError, match="gradient_clip_norm=0"):
        GradientClipping(0)


def quick_fit(
    config: Any,
    blobs: ImageSet,
    callbacks: Any = (),
    folder: Path | None = None,
    epochs: int = 2,
    logger: Logger | None = None,
) -> FitResult:
    train, val = blobs.subset(np.arange(60)), blobs.subset(np.arange(60, 90))
    config.data.batch_size, config.data.img_size = 12, 32
    return fit(
        *(config, train, val),
        max_epochs=epochs,
        seed=3,
        output_dir=folder,
        logger=logger,
        callbacks=callbacks,
    )


def test_a_seed_decides_the_whole_run_and_no_file_is_left(
    cfg: Compose, blobs: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (quick_fit(cfg("optimizer.lr=0.01"), blobs) for _ in range(2))
    for a, b in zip(first.module.parameters(), second.module.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not list(tmp_path.iterdir())


def test_the_best_epoch_is_kept_and_evaluated(
    cfg: Compose, blobs: ImageSet, tmp_path: Path
) -> None:
    scores: list[float] = []

    class Watch(pl.Callback):
        def on_validation_end(self, trainer: pl.Trainer, *_: Any) -> None:
            scores.append(float(trainer.callback_metrics["val/f1"]))

    config = cfg("optimizer.lr=0.02", "callbacks.progress=false")
    result = quick_fit(config, blobs, [Watch()], tmp_path, epochs=3)
    found = evaluate(result, blobs.subset(np.arange(60, 90)), config)
    assert found.f1 == pytest.approx(max(scores), abs=1e-6)


def test_macro_f1_is_scikit_learns(cfg: Compose, blobs: ImageSet) -> None:
    config = cfg()
    result = quick_fit(config, blobs, epochs=1)
    part = blobs.subset(np.array([0, 1, 2, 3, 4, 6, 9, 12, 15]))
    found = evaluate(result, part, config)
    result.module.eval()
    images = torch.from_numpy(part.images).permute(0, 3, 1, 2)
    with torch.no_grad():
        predicted = result.module.cpu()(images).argmax(1).numpy()
    assert found.f1 == pytest.approx(f1_score(part.labels, predicted, average="macro"))
    assert np.array(found.confusion).sum() == len(part)
    expected = f1_score(part.labels, predicted, average=None)
    assert list(found.f1_by_class.values()) == pytest.approx(list(expected))


def test_bfloat16_gives_nearly_the_same_scores(cfg: Compose, blobs: ImageSet) -> None:
    small = ("model.name=test_vit", "+model.kwargs={depth: 1}", "optimizer.lr=0.01")
    plain = quick_fit(cfg(*small), blobs)
    mixed = quick_fit(cfg(*small, "trainer.precision=bf16-mixed"), blobs)
    assert mixed.f1 == pytest.approx(plain.f1, abs=0.1)


def test_weights_that_would_run_code_are_refused(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (Path(tmp_path / "sprung").touch, ())

    torch.save({"state_dict": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(Exception, match="is no file of weights"):
        create_backbone(ModelConfig(checkpoint_path=str(tmp_path / "trap.pth")), 3, 32)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (ModelConfig(checkpoint_path="/no/such.pth"), "there is no such file"),
        (ModelConfig(kwargs={"nonsense": 1}), "does not take this"),
        (ModelConfig("resnet18", pretrained=True), r"model.pretrained=true: no weights"),
    ],
)
def test_models_that_cannot_be_made(
    config: ModelConfig, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=told):
        create_backbone(config, 3, 32)


def test_swin_takes_other_image_sizes() -> None:
    model = create_backbone(ModelConfig("swin_tiny_patch4_window7_224"), 3, 64)
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_the_schedule_waits_for_the_first_step_that_16_bits_allow(
    cfg: Compose, blobs: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scaler whose first scale is too high leaves steps out, as it does on a card."""
    rates: list[float] = []

    class Rates(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    real = pl.Trainer

    def scaled(precision: str, **arguments: Any) -> pl.Trainer:
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**126, backoff_factor=2.0**-120)
        plugins = [*arguments.pop("plugins"), MixedPrecision("16-mixed", "cpu", scaler)]
        return real(plugins=plugins, **arguments)

    monkeypatch.setattr(pl, "Trainer", scaled)
    # A CPU is slow at 16 bits.
    words = ("data.img_size=32", "data.batch_size=4", "logger=none", "optimizer.lr=0.01")
    config = cfg(*words, "trainer.precision=16-mixed")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        few = blobs.subset(np.arange(9))
        fit(*(config, few, few), max_epochs=2, seed=0, output_dir=None, callbacks=[Rates()])
    # 2 steps of warm-up.
    assert rates[:2] == pytest.approx([0.005, 0.005])
    assert max(rates) == pytest.approx(0.01)
