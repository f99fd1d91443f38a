"""Every parameter that a search can set, seen by what it does in a training run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from doctune.errors import UserError
from src.data.image_set import ImageSet
from src.data.load import load_splits
from src.training.backbone import check_backbone, create_backbone
from src.training.config import ModelConfig
from src.training.fit import fit
from src.training.loss import TrainingLoss
from src.training.module import Classifier
from tests.conftest import Compose

SMALL = ("data.img_size=32", "data.batch_size=18", "optimizer.lr=0.01", "loss.label_smoothing=0")


class Watch(pl.Callback):
    """Keeps what a run of two epochs did at each step."""

    def __init__(self) -> None:
        self.learning_rates: list[float] = []
        self.inputs: list[torch.Size] = []
        self.clipped_norms: list[float] = []
        self.weights: list[torch.Tensor] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        pl_module.model.register_forward_pre_hook(self._keep_shape)

    def _keep_shape(self, model: nn.Module, inputs: Any) -> None:
        if model.training:
            self.inputs.append(inputs[0].shape)

    def on_before_zero_grad(self, trainer: pl.Trainer, pl_module: Any, optimizer: Any) -> None:
        grads = [p.grad.norm() for p in pl_module.parameters() if p.grad is not None]
        if grads:
            self.clipped_norms.append(float(torch.stack(grads).norm()))

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        self.learning_rates.append(trainer.optimizers[0].param_groups[0]["lr"])
        self.weights.append(next(pl_module.model.parameters()).detach().clone())


Train = Callable[..., tuple[Watch, Any]]


@pytest.fixture
def train(cfg: Compose, blobs: ImageSet) -> Train:
    """Return a function that trains two epochs of 5 steps, or fewer, and returns what was seen."""

    def run(*overrides: str, epochs: int = 2) -> tuple[Watch, Any]:
        watch = Watch()
        keys = {word.split("=")[0] for word in overrides}
        words = [word for word in SMALL if word.split("=")[0] not in keys]
        result = fit(
            cfg(*words, *overrides),
            *(blobs, blobs),
            max_epochs=epochs,
            seed=0,
            output_dir=None,
            callbacks=[watch],
        )
        return watch, result.module

    return run


def test_learning_rate(train: Train) -> None:
    assert max(train("optimizer.lr=0.003")[0].learning_rates) == pytest.approx(0.003)


@pytest.mark.parametrize(("size", "steps"), [(18, 5), (45, 2)])
def test_batch_size(train: Train, size: int, steps: int) -> None:
    shapes = train(f"data.batch_size={size}")[0].inputs
    assert [shape[0] for shape in shapes] == [size] * (2 * steps)


def test_weight_decay(train: Train) -> None:
    # AdamW takes lr * decay of each weight away at every step, beside the same first update.
    keys = ("scheduler=constant", "scheduler.warmup_epochs=0", "optimizer.lr=0.001")
    none = train("optimizer.weight_decay=0", *keys, epochs=1)[0].weights[0]
    strong = train("optimizer.weight_decay=100", *keys, epochs=1)[0].weights[0]
    start = create_with_seed(0)
    torch.testing.assert_close(none - strong, 0.001 * 100 * start, atol=1e-5, rtol=1e-3)


def create_with_seed(seed: int) -> torch.Tensor:
    pl.seed_everything(seed, verbose=False)
    return next(create_backbone(ModelConfig(), 3, 32).parameters()).detach()


def test_dropout(cfg: Compose) -> None:
    torch.manual_seed(0)
    model = Classifier(cfg("model.drop_rate=0.25", *SMALL), ["a", "b"], 1, 1).train().model
    pooled: list[torch.Tensor] = []
    reached: list[torch.Tensor] = []
    model.get_submodule("global_pool").register_forward_hook(lambda *seen: pooled.append(seen[2]))
    model.get_submodule("fc").register_forward_pre_hook(lambda *seen: reached.append(seen[1][0]))
    model(torch.rand(32, 3, 32, 32))
    kept = reached[0][pooled[0] > 0] != 0
    assert float(kept.float().mean()) == pytest.approx(0.75, abs=0.05)
    torch.testing.assert_close(reached[0][reached[0] > 0], (pooled[0] / 0.75)[reached[0] > 0])


@pytest.mark.parametrize("name", ["test_convnext", "test_resnet", "test_efficientnet", "test_vit"])
def test_drop_path(name: str) -> None:
    model: Any = create_backbone(ModelConfig(name, drop_path_rate=0.3), 3, 32)
    rates = [m.drop_prob for m in model.modules() if type(m).__name__ == "DropPath"]
    assert rates
    assert rates == sorted(rates)
    # The last block's rate, of which EfficientNet and ResNet reach a part.
    assert 0.15 < rates[-1] <= 0.3 + 1e-6


def test_label_smoothing(cfg: Compose) -> None:
    # Of two classes and sure scores, s/2 of the weight lies on the wrong one: 8 * s/2.
    scores, labels = torch.tensor([[4.0, -4.0]]), torch.tensor([0])
    for smoothing in (0.0, 0.2):
        module = Classifier(cfg(f"loss.label_smoothing={smoothing}"), ["a", "b"], 1, 1)
        loss = float(module.train_criterion(scores, labels))
        assert loss == pytest.approx(8 * smoothing / 2, abs=1e-3)
        assert float(module.criterion(scores, labels).mean()) == pytest.approx(0, abs=1e-3)


def test_gradient_clipping_norm(train: Train) -> None:
    tight = train("callbacks.gradient_clip_norm=0.05", epochs=1)[0].clipped_norms
    assert max(tight) == pytest.approx(0.05, rel=1e-3)
    assert max(train("callbacks.gradient_clip_norm=null", epochs=1)[0].clipped_norms) > 0.2


def test_mixup_alpha(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    forward = TrainingLoss.forward

    def watch(self: Any, scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        seen.append(targets)
        return forward(self, scores, targets)

    monkeypatch.setattr(TrainingLoss, "forward", watch)
    train("augment.mixup_alpha=0", epochs=1)
    assert not any(t.is_floating_point() for t in seen)
    mixed = []
    for alpha in (0.1, 1.5):
        seen.clear()
        train(f"augment.mixup_alpha={alpha}", epochs=1)
        soft = torch.cat([t for t in seen if t.is_floating_point()])
        torch.testing.assert_close(soft.sum(1), torch.ones(len(soft)))
        mixed.append(float((1 - soft.max(1).values).mean()))
    assert mixed[0] < mixed[1] / 2


@pytest.mark.parametrize(("epochs", "rises"), [("0", 0), ("1", 5)], ids=["no warm-up", "one epoch"])
def test_warmup_epochs(train: Train, epochs: str, rises: int) -> None:
    rates = train(f"scheduler.warmup_epochs={epochs}")[0].learning_rates
    peak = rates.index(max(rates))
    assert peak == max(0, rises - 2)  # kept after each step, when the next one's rate is set
    assert rates[-1] == min(rates)


@pytest.mark.parametrize("pooling", ["avg", "max", "avgmax"])
@pytest.mark.parametrize(
    "name", ["test_convnext", "test_resnet", "test_efficientnet", "swin_tiny_patch4_window7_224"]
)
def test_pooling(name: str, pooling: str) -> None:
    torch.manual_seed(0)
    model = create_backbone(ModelConfig(name, pooling=pooling), 3, 64).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        features: Any = model.forward_features(images)  # type: ignore[operator]
        pooled: Any = model.forward_head(features, pre_logits=True)  # type: ignore[operator]
        if name.startswith("swin"):  # NHWC, unlike the others
            features = features.permute(0, 3, 1, 2)
        mean, largest = features.mean((2, 3)), features.amax((2, 3))
        expected = {"avg": mean, "max": largest, "avgmax": (mean + largest) / 2}[pooling]
        if name == "test_convnext":  # normalises what it has pooled
            expected = nn.functional.layer_norm(expected, expected.shape[1:], eps=1e-6)
    torch.testing.assert_close(pooled, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "factor"), [("test_convnext", "gamma"), ("test_vit", "ls1.gamma")]
)
def test_layer_scale(name: str, factor: str) -> None:
    model = create_backbone(ModelConfig(name, layer_scale=3e-5), 3, 32)
    factors = [value for key, value in model.named_parameters() if key.endswith(factor)]
    assert factors
    for value in factors:
        torch.testing.assert_close(value, torch.full_like(value, 3e-5))


def test_img_size(cfg: Compose, sorted_scans: Path, tmp_path: Path) -> None:
    files = ("data=image_folder", f"data.root={sorted_scans}", f"data.cache_dir={tmp_path}")
    config = cfg("data.img_size=40", "data.batch_size=16", *files)
    splits, watch = load_splits(config.data), Watch()
    fit(config, splits.val, splits.val, max_epochs=1, seed=0, output_dir=None, callbacks=[watch])
    assert {shape[1:] for shape in watch.inputs} == {(3, 40, 40)}


@pytest.mark.parametrize(
    ("model", "size", "told"),
    [
        (ModelConfig("swin_tiny_patch4_window7_224", layer_scale=1e-5), 64, "model.layer_scale"),
        (ModelConfig("test_resnet", layer_scale=1e-5), 64, "model.layer_scale=1e-05: test_resnet"),
        (ModelConfig("test_convnext", layer_scale=0), 64, "model.layer_scale=0: must be above"),
        (ModelConfig("test_convnext", True, layer_scale=1e-5), 64, "model.pretrained=True brings"),
        (ModelConfig("vgg11", drop_path_rate=0.1), 64, "model.drop_path_rate=0.1: vgg11 has no"),
        (ModelConfig("test_resnet", pooling="sum"), 64, "model.pooling=sum"),
        (ModelConfig("test_convnext", pooling="catavgmax"), 64, "model.pooling=catavgmax"),
        (ModelConfig("test_vit", pooling="catavgmax"), 64, "model.pooling=catavgmax"),
        (ModelConfig("test_resnet", pooling=""), 64, "model.pooling=''"),
        (ModelConfig("test_resnet", kwargs={"nonsense": 1}), 64, "model.kwargs={'nonsense': 1}"),
        (ModelConfig("inception_v3"), 64, "; it was made for 299: data.img_size=299"),
        (ModelConfig("test_vit"), 50, "data.img_size=50: test_vit"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_model_has_not_is_named_before_anything_runs(
    model: ModelConfig, size: int, told: str
) -> None:
    with pytest.raises(UserError) as error:
        check_backbone(model, size)
    assert told in str(error.value)
    assert len(str(error.value).splitlines()) <= 2
