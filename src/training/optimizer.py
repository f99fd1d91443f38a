"""The optimizer, with no weight decay on norms and biases."""

import difflib

import torch
from timm.optim import create_optimizer_v2, list_optimizers  # type: ignore[attr-defined]
from torch import nn

from src.errors import UserError
from src.training.config import OptimizerConfig


def build_optimizer(
    model: nn.Module, cfg: OptimizerConfig, precision: str = "32-true"
) -> torch.optim.Optimizer:
    """Make an optimizer of timm's factory over two parameter groups: decayed and not.

    Args:
        model: whose parameters are trained.
        cfg: the `optimizer` group.
        precision: Lightning's; under `16-mixed` a fused optimizer unscales gradients inside
            its step, which is after clipping, so none is used there.

    Raises:
        UserError: timm knows no optimizer of that name, or it does not take `optimizer.kwargs`.
    """
    known = [str(name) for name in list_optimizers()]
    if cfg.name not in known:
        near = difflib.get_close_matches(cfg.name, known, n=3)
        some = ", ".join(near or ["adamw", "sgd", "lion", "lamb", "nadamw"])
        raise UserError(f"optimizer.name={cfg.name}: unknown to timm; for instance {some}")
    kwargs = dict(cfg.kwargs)
    scaled = precision == "16-mixed"
    if scaled and kwargs.get("fused"):
        raise UserError(
            "optimizer.kwargs.fused=true: gradients cannot be clipped with it under "
            "trainer.precision=16-mixed; leave it out, or take trainer.precision=bf16-mixed"
        )
    if cfg.name == "adamw" and not scaled:
        # One kernel for the whole step; on a CPU as well.
        kwargs.setdefault("fused", True)
    try:
        optimizer: torch.optim.Optimizer = create_optimizer_v2(
            model, opt=cfg.name, lr=cfg.lr, weight_decay=cfg.weight_decay, **kwargs
        )
    except TypeError as error:
        raise UserError(f"optimizer.kwargs: {error}") from error
    return optimizer
