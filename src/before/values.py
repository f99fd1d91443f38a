"""The numbers of a job, and the names that are chosen from a few."""

import math
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from doctune.errors import UserError
from doctune.words import did_you_mean
from src.data.wear_presets import wear_of
from src.hardware.config import AUTO
from src.hardware.detect import cards
from src.training.card_rules import check_several_cards
from src.training.room import check_room

CHOICES = {
    "trainer.accelerator": ["auto", "cpu", "cuda", "gpu", "mps"],
    "trainer.precision": ["32-true", "16-mixed", "bf16-mixed", "bf16-true", "16-true", "64-true"],
    "trainer.depthwise": ["auto", "cudnn", "torch"],
    "loss.class_weights": ["none", "balanced", "logit_adjustment"],
    "scheduler.name": ["cosine", "constant"],
    "logger.name": ["csv", "tensorboard", "mlflow", "wandb", "none"],
}

# Key -> smallest value that makes sense.
SMALLEST = {
    "trainer.max_epochs": 1,
    "trainer.devices": 1,
    "trainer.precise_bn": 0,
    "optuna.in_full": 0,
    "quick_validation.epochs": 1,
    "quick_validation.folds": 1,
    "quick_validation.min_steps": 0,
    "quick_validation.precise_bn": 0,
    "quick_validation.wear_draws": 1,
    "pruning.patience": 0,
    "pruning.n_startup_trials": 0,
    "optimizer.weight_decay": 0,
    "scheduler.warmup_epochs": 0,
    "augment.mixup_alpha": 0,
    "augment.strength": 0,
    "gpu.trials_per_device": 1,
    "gpu.memory_gb": 0,
    "gpu.usable_gb": 0,
    "gpu.max_batch_size": 1,
}
# These may have to be worked out, from the images or with timm, which takes its time.
IMG_SIZE = "data.img_size"
SMALLEST_SIZES = {"data.batch_size": 1, IMG_SIZE: 16}
SHARED = "gpu.trials_per_device"
# With a rate of 0 nothing is learnt, and estimates divide by the others.
ABOVE_ZERO = ("optimizer.lr", "gpu.tflops", "gpu.tflops_float32", "gpu.bandwidth_gb")
SHARES = ("model.drop_rate", "model.drop_path_rate", "loss.label_smoothing")
# What people call them, Lightning's own older names among it.
PRECISIONS = {
    **dict.fromkeys(("16", "fp16", "float16", "half", "amp", "mixed", "true"), "16-mixed"),
    **dict.fromkeys(("bf16", "bfloat16"), "bf16-mixed"),
    **dict.fromkeys(("32", "fp32", "float32", "single", "full"), "32-true"),
    **dict.fromkeys(("64", "double", "float64"), "64-true"),
}
# Made for the units of GPUs.
FLOAT16 = ("16-mixed", "16-true")


def check_values(cfg: DictConfig, *, ask_timm: bool = True) -> None:
    """Check the numbers of a job, and the names that are chosen from a few.

    Args:
        cfg: the config of a job.
        ask_timm: whether to check an image size that follows from the model, for which timm, and
            torch with it, has to be imported.

    Raises:
        UserError: names the key, the value and what to do.
    """
    _check_numbers(cfg)
    for key, low in SMALLEST.items():
        value = OmegaConf.select(cfg, key)
        if key == SHARED:
            _check_sharing(value)
        elif value < low:
            raise UserError(f"{key}={value}: must be at least {low}")
    for key in ABOVE_ZERO:
        value = OmegaConf.select(cfg, key)
        if value <= 0:
            raise UserError(f"{key}={value}: must be more than 0")
    for key in SHARES:
        value = OmegaConf.select(cfg, key)
        if not 0 <= value < 1:
            raise UserError(f"{key}={value}: must be from 0 up to, not including, 1")
    for key, choices in CHOICES.items():
        value = OmegaConf.select(cfg, key)
        if value not in choices:
            raise UserError(f"{key}={value}: choose {', '.join(choices)}{_near(value, choices)}")
    micro_batch = cfg.trainer.micro_batch_size
    if micro_batch is not None and micro_batch < 1:
        raise UserError(f"trainer.micro_batch_size={micro_batch}: must be at least 1, or null")
    seconds = cfg.quick_validation.seconds
    if seconds is not None and seconds <= 0:
        raise UserError(
            f"quick_validation.seconds={seconds:g}: must be more than 0, or null for epochs alone"
        )
    ratio = cfg.scheduler.min_lr_ratio
    if not 0 <= ratio <= 1:
        raise UserError(f"scheduler.min_lr_ratio={ratio}: must be from 0 to 1, a share of the peak")
    wear_of(cfg)
    _check_precision(cfg)
    check_several_cards(cfg)
    check_room(cfg.gpu)
    for key, low in SMALLEST_SIZES.items():
        if key == IMG_SIZE and not ask_timm and OmegaConf.is_interpolation(cfg.data, "img_size"):
            continue
        value = OmegaConf.select(cfg, key)
        if value < low:
            raise UserError(f"{key}={value}: must be at least {low}")
    _check_batch(cfg)


def _near(value: object, choices: Sequence[str]) -> str:
    if value in PRECISIONS and PRECISIONS[str(value)] in choices:
        return f"; did you mean {PRECISIONS[str(value)]}?"
    hint = did_you_mean(str(value), choices)
    return hint if hint.endswith("?") else ""


def _check_numbers(cfg: DictConfig, above: str = "") -> None:
    """Refuse nan and inf, which pass every comparison or none."""
    for key in map(str, cfg):
        node = cfg._get_node(key)
        if isinstance(node, DictConfig):
            # A group may be null.
            if not (node._is_none() or node._is_missing() or node._is_interpolation()):
                _check_numbers(node, f"{above}{key}.")
            continue
        value = getattr(node, "_value", lambda: None)()
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{above}{key}={value}: is no number to work with; give a finite one")


def _check_precision(cfg: DictConfig) -> None:
    """Refuse float16 on a CPU, where Lightning would take bfloat16 in its place.

    The precision of a card's profile stays, as a CPU is then tried in the card's place.
    """
    precision, accelerator = cfg.trainer.precision, cfg.trainer.accelerator
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not cards())
    profiles = OmegaConf.is_interpolation(cfg.trainer, "precision")
    if precision in FLOAT16 and on_cpu and not profiles:
        raise UserError(
            f"trainer.precision={precision}: float16 needs a GPU; on a CPU take 32-true or "
            "bf16-mixed"
        )


def _check_sharing(value: Any) -> None:
    if isinstance(value, str) and value != AUTO:
        raise UserError(f"{SHARED}={value}: must be a number or {AUTO}")
    if value != AUTO and value < SMALLEST[SHARED]:
        raise UserError(f"{SHARED}={value}: must be at least {SMALLEST[SHARED]}")


def _check_batch(cfg: DictConfig) -> None:
    largest = cfg.gpu.max_batch_size
    for key in ("data.batch_size", "quick_validation.batch_size_override"):
        size = OmegaConf.select(cfg, key)
        if size is not None and size > largest:
            raise UserError(
                f"{key}={size}: gpu={cfg.gpu.name} is safe up to {largest}; "
                "lower it, or raise gpu.max_batch_size if you know better"
            )
