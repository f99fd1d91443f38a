"""The optimizer, with weight decay on the weights of layers alone.

The learning rate of every step: linear warm-up, then cosine or constant.
"""

import fnmatch
import math
import re
from collections.abc import Callable, Collection
from typing import Any

import torch
from timm.optim import (  # type: ignore[attr-defined]
    create_optimizer_v2,
    get_optimizer_info,
    list_optimizers,
    param_groups_layer_decay,
    param_groups_weight_decay,
)
from torch import nn

from doctune.errors import UserError
from doctune.words import nearest
from src.training.config import OptimizerConfig, SchedulerConfig

# The names that a matrix has where it is no layer of its own: `in_proj_weight`, `w_g`.
WEIGHT = re.compile(r"(^|_)weight($|_)|^w_")
# Arguments of timm that cut the parameters into groups, and what its functions call them.
LAYER_DECAY = {"layer_decay_min_scale": "min_scale", "layer_decay_no_opt_scale": "no_opt_scale"}
GROUPING = ("layer_decay", *LAYER_DECAY, "fallback_list", "fallback_no_weight_decay")
# In the names of parameters below a module that it has wrapped.
FSDP_PREFIX = "_fsdp_wrapped_module."
# Of the gradients themselves, as Adam and all that came of it have it (Kingma & Ba, ICLR 2015).
BETA1 = 0.9
SCHEDULES = ("cosine", "constant")


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
            sharded; None: as `undecayed` says now.

    Raises:
        UserError: timm knows no optimizer of that name, or it does not take `optimizer.kwargs`.
    """
    known = [str(name) for name in list_optimizers()]
    if cfg.name not in known:
        near = nearest(cfg.name, known, most=3)
        some = ", ".join(near or ["adamw", "sgd", "lion", "lamb", "nadamw"])
        raise UserError(f"optimizer.name={cfg.name}: unknown to timm; for instance {some}")
    kwargs = dict(cfg.kwargs)
    scaled = precision == "16-mixed"
    if scaled and kwargs.get("fused"):
        raise UserError(
            "optimizer.kwargs.fused=true: gradients cannot be clipped with it under "
            "trainer.precision=16-mixed; leave it out, or take trainer.precision=bf16-mixed"
        )
    if cfg.beta2 is not None:
        _check_beta2(cfg)
        kwargs.setdefault("betas", (BETA1, cfg.beta2))
    if cfg.name == "adamw" and not scaled:
        # One kernel for the whole step; on a CPU as well.
        kwargs.setdefault("fused", True)
    kept = undecayed(model) if without_decay is None else without_decay
    try:
        groups = _timm_groups(model, kept, cfg, kwargs)
        optimizer: torch.optim.Optimizer = create_optimizer_v2(
            groups or _groups(model, kept, cfg),
            opt=cfg.name,
            lr=cfg.lr,
            weight_decay=cfg.weight_decay,
            **kwargs,
        )
    except (TypeError, ValueError) as error:
        hint = ""
        if "esterov" in str(error):
            hint = "; give +optimizer.kwargs.nesterov=false too"
        raise UserError(f"optimizer.kwargs={dict(cfg.kwargs)}: {error}{hint}") from error
    return optimizer


def _check_beta2(cfg: OptimizerConfig) -> None:
    if not get_optimizer_info(cfg.name).has_betas:
        raise UserError(
            f"optimizer.beta2={cfg.beta2}: {cfg.name} keeps no mean of squared gradients; leave it "
            "out"
        )
    if not 0 <= (cfg.beta2 or 0) < 1:
        raise UserError(f"optimizer.beta2={cfg.beta2}: must be from 0 up to, not including, 1")


def check_optimizer(cfg: OptimizerConfig, precision: str) -> None:
    """Refuse an optimizer that `build_optimizer` would refuse; arguments as there.

    Raises:
        UserError: names the key, the value and what to do.
    """
    build_optimizer(nn.Linear(2, 2), cfg, precision)


def undecayed(model: nn.Module) -> frozenset[str]:
    """Return the names of the parameters that are not decayed.

    Decayed is what a layer multiplies its input with: the matrices of linear layers, convolutions
    and recurrent ones. Not so biases, norms, gains (a convolution of one number a channel among
    them), layer scales, temperatures, tokens and tables of positions, whatever their number of
    dimensions; nor what the model itself names (`no_weight_decay`).
    """
    special: Any = getattr(model, "no_weight_decay", set)
    patterns = list(special())
    return frozenset(
        name
        for prefix, part in model.named_modules()
        for name, parameter in part.named_parameters(prefix, recurse=False)
        if not _is_weight(part, name.rpartition(".")[2], parameter)
        or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
    )


def _is_weight(part: nn.Module, name: str, parameter: nn.Parameter) -> bool:
    """Tell whether a module multiplies its input with one of its own parameters, as a matrix."""
    if parameter.ndim < 2 or isinstance(part, nn.Embedding):
        return False
    # With one number a channel it is a gain (the 1x1 branches of FastViT and RepViT).
    if getattr(part, "groups", 1) > 1 and parameter[0].numel() == 1:
        return False
    return WEIGHT.search(name) is not None


def _groups(
    model: nn.Module, without_decay: Collection[str], cfg: OptimizerConfig
) -> list[dict[str, Any]]:
    """Return the two groups, also of a model that FSDP has wrapped."""
    found: dict[bool, list[nn.Parameter]] = {False: [], True: []}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        found[name.replace(FSDP_PREFIX, "") not in without_decay].append(parameter)
    # Muon is for matrices; tables of positions and tokens only look like some.
    others = {"use_fallback": True} if cfg.name.endswith("muon") else {}
    return [
        {"params": parameters, "weight_decay": cfg.weight_decay * decayed}
        | ({} if decayed else others)
        for decayed, parameters in found.items()
        if parameters
    ]


def _timm_groups(
    model: nn.Module, without_decay: Collection[str], cfg: OptimizerConfig, kwargs: dict[str, Any]
) -> list[dict[str, Any]] | None:
    """Return the groups that timm's own arguments ask for, and take these out of `kwargs`."""
    asked = {name: kwargs.pop(name) for name in GROUPING if name in kwargs}
    if not asked:
        return None
    by_layer = {name: value for name, value in asked.items() if name.startswith("layer_decay")}
    make: Any = param_groups_layer_decay if by_layer else param_groups_weight_decay
    asked = {LAYER_DECAY.get(name, name): value for name, value in asked.items()}
    # timm finds those of one dimension itself.
    own = [
        name
        for name, parameter in model.named_parameters()
        if name in without_decay and parameter.ndim > 1
    ]
    groups: list[dict[str, Any]] = make(
        model, weight_decay=cfg.weight_decay, no_weight_decay_list=own, **asked
    )
    for group in groups:
        # Which timm leaves to its own schedules.
        group["lr"] = cfg.lr * group.pop("lr_scale", 1.0)
    return groups


def learning_rate_factor(
    cfg: SchedulerConfig, steps_per_epoch: int, max_epochs: int
) -> Callable[[int], float]:
    """Return the function step -> share of the peak learning rate.

    The warm-up rises from 1/w of the peak at the first of its w steps and is cut to half of the
    run. The cosine (Loshchilov & Hutter, ICLR 2017, arXiv 1608.03983) ends at `min_lr_ratio`
    at the last step.

    Raises:
        UserError: the schedule's name is unknown.
    """
    if cfg.name not in SCHEDULES:
        raise UserError(f"scheduler.name={cfg.name}: unknown; choose {' or '.join(SCHEDULES)}")
    # Read once: this is asked at every step, and a config takes its time to answer.
    is_constant, floor = cfg.name == "constant", cfg.min_lr_ratio
    total = steps_per_epoch * max_epochs
    warmup = min(round(cfg.warmup_epochs * steps_per_epoch), total // 2)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        if is_constant:
            return 1.0
        progress = min(1.0, (step - warmup) / max(1, total - 1 - warmup))
        return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2

    return factor
