"""The optimizer, with no weight decay on norms and biases."""

import difflib
from collections.abc import Collection
from typing import Any

import torch
from timm.optim import (  # type: ignore[attr-defined]
    create_optimizer_v2,
    list_optimizers,
    param_groups_weight_decay,
)
from torch import nn

from src.errors import UserError
from src.training.config import OptimizerConfig

# In the names of parameters below a module that it has wrapped.
FSDP_PREFIX = "_fsdp_wrapped_module."


def build_optimizer(
    model: nn.Module,
    cfg: OptimizerConfig,
    precision: str = "32-true",
    without_decay: Collection[str] | None = None,
) -> torch.optim.Optimizer:
    """Make an optimizer of timm's factory over two parameter groups: decayed and not.

    Args:
        model: whose parameters are trained.
        cfg: the `optimizer` group.
        precision: Lightning's; under `16-mixed` a fused optimizer unscales gradients inside
            its step, which is after clipping, so none is used there.
        without_decay: names from `undecayed` of what is not decayed, where the weights are
            sharded; None: as their shapes say.

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
    if without_decay is not None:
        kwargs["param_group_fn"] = lambda model: _groups(model, without_decay, cfg.weight_decay)
    try:
        optimizer: torch.optim.Optimizer = create_optimizer_v2(
            model, opt=cfg.name, lr=cfg.lr, weight_decay=cfg.weight_decay, **kwargs
        )
    except TypeError as error:
        raise UserError(f"optimizer.kwargs: {error}") from error
    return optimizer


def undecayed(model: nn.Module) -> frozenset[str]:
    """Return the names of the parameters that timm does not decay, by their shapes and names."""
    special: Any = getattr(model, "no_weight_decay", set)
    groups = param_groups_weight_decay(model, 1.0, no_weight_decay_list=special())
    left_out = {id(p) for group in groups if not group["weight_decay"] for p in group["params"]}
    return frozenset(name for name, p in model.named_parameters() if id(p) in left_out)


def _groups(
    model: nn.Module, without_decay: Collection[str], weight_decay: float
) -> list[dict[str, Any]]:
    """Return the two groups of a model that FSDP has wrapped."""
    found: dict[bool, list[nn.Parameter]] = {False: [], True: []}
    for name, parameter in model.named_parameters():
        found[name.replace(FSDP_PREFIX, "") not in without_decay].append(parameter)
    return [
        {"params": parameters, "weight_decay": weight_decay * decayed}
        for decayed, parameters in found.items()
        if parameters
    ]
