"""What reaches the optimizer, and when its step may not be fused."""

import pytest
import torch
from lightning_fabric.plugins.precision.amp import _optimizer_handles_unscaling

from src.errors import UserError
from src.training.config import OptimizerConfig
from src.training.module import Classifier
from src.training.optimizer import build_optimizer
from tests.conftest import Compose


def test_arguments_reach_the_optimizer() -> None:
    cfg = OptimizerConfig("sgd", lr=0.3, kwargs={"momentum": 0.7})
    optimizer = build_optimizer(torch.nn.Linear(2, 2), cfg)
    assert isinstance(optimizer, torch.optim.SGD)
    assert {group["lr"] for group in optimizer.param_groups} == {0.3}
    assert {group["momentum"] for group in optimizer.param_groups} == {0.7}


@pytest.mark.parametrize(
    ("precision", "inside"), [("16-mixed", False), ("bf16-mixed", True), ("32-true", True)]
)
def test_scaled_gradients_are_unscaled_before_they_are_clipped(
    cfg: Compose, precision: str, inside: bool
) -> None:
    # Lightning leaves gradients scaled for an optimizer that unscales them inside its step,
    # and clipping comes before the step; without scaling a fused step is the faster one.
    module = Classifier(cfg(f"trainer.precision={precision}"), ["a", "b"], 1, 1)
    made = module.configure_optimizers()
    assert isinstance(made, dict)
    assert _optimizer_handles_unscaling(made["optimizer"]) is inside


def test_a_fused_step_with_scaled_gradients_is_refused() -> None:
    with pytest.raises(UserError, match=r"optimizer\.kwargs\.fused"):
        build_optimizer(torch.nn.Linear(2, 2), OptimizerConfig(kwargs={"fused": True}), "16-mixed")


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (OptimizerConfig("adamx"), r"optimizer\.name=adamx.*adam"),
        (OptimizerConfig("adamw", kwargs={"speed": 1}), r"optimizer\.kwargs.*speed"),
    ],
)
def test_mistakes_are_named(cfg: OptimizerConfig, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_optimizer(torch.nn.Linear(2, 2), cfg)
