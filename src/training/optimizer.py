"""The optimizer, with no weight decay on norms and biases."""

import timm.optim
import torch
from torch import nn

from src.errors import UserError
from src.training.config import OptimizerConfig


def build_optimizer(model: nn.Module, cfg: OptimizerConfig) -> torch.optim.Optimizer:
    """Make an optimizer of timm's factory over two parameter groups: decayed and not.

    Raises:
        UserError: timm knows no optimizer of that name, or it does not take `optimizer.kwargs`.
    """
    if cfg.name not in timm.optim.list_optimizers():
        some = "adamw, sgd, lion, lamb, nadamw"
        raise UserError(f"optimizer.name={cfg.name}: unknown to timm; for instance {some}")
    kwargs = dict(cfg.kwargs)
    if cfg.name == "adamw":
        # One kernel for the whole step; on a CPU as well.
        kwargs.setdefault("fused", True)
    try:
        optimizer: torch.optim.Optimizer = timm.optim.create_optimizer_v2(
            model, opt=cfg.name, lr=cfg.lr, weight_decay=cfg.weight_decay, **kwargs
        )
    except TypeError as error:
        raise UserError(f"optimizer.kwargs: {error}") from error
    return optimizer
