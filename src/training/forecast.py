"""What a config's training step needs, counted before it runs, and how a trial makes it fit."""

import json
import logging
from dataclasses import dataclass
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from torch import nn

from doctune.errors import UserError, first_line
from src.data.image_set import ImageSet
from src.hardware import memory
from src.hardware.counted_step import StepKind
from src.hardware.footprint import Footprint, count_footprint
from src.training.backbone import create_backbone
from src.training.card_rules import card_batch
from src.training.optimizer import build_optimizer
from src.training.room import room
from src.training.shapes_alone import shapes_alone

log = logging.getLogger(__name__)

# Rates whose value changes no shape: it only matters whether they are above 0.
RATES = ("drop_rate", "drop_path_rate")

_counted: dict[str, Footprint] = {}


def footprint_of(cfg: DictConfig, num_classes: int, *, checkpointing: bool = False) -> Footprint:
    """Count the training step of a config; once a process for all configs of the same shapes.

    Args:
        cfg: the whole config.
        num_classes: C.
        checkpointing: blocks are computed again in backward instead of being kept.

    Raises:
        UserError: the model cannot be made, has no checkpointing, or reads values of tensors.
    """
    kind = StepKind(
        img_size=cfg.data.img_size,
        num_classes=num_classes,
        precision=cfg.trainer.precision,
        channels_last=cfg.trainer.channels_last,
        mixup=cfg.augment.mixup_alpha > 0,
        clip=cfg.callbacks.gradient_clip_norm is not None,
        on_cuda=bool(cfg.gpu.memory_gb),
    )
    model = _shapes_alone(cfg.model)
    model["grad_checkpointing"] |= checkpointing
    key = json.dumps([repr(kind), model, *_kept_by(cfg.optimizer)], default=str)
    if key not in _counted:
        group: Any = OmegaConf.merge(cfg.model, model)

        def make() -> nn.Module:
            with shapes_alone():
                return create_backbone(group, num_classes, kind.img_size)

        try:
            _counted[key] = count_footprint(
                make,
                lambda made: build_optimizer(made, cfg.optimizer, kind.precision),
                kind,
            )
        except (RuntimeError, NotImplementedError, ValueError, TypeError) as error:
            reason = first_line(error)
            raise UserError(
                f"model.name={cfg.model.name}: its memory cannot be counted ({reason})"
            ) from error
    return _counted[key]


@dataclass(frozen=True)
class Foreseen:
    """How a training step fits into the card of a profile."""

    # Images at a time; None: the whole batch.
    micro_batch: int | None
    # With gradient checkpointing.
    checkpointing: bool
    # Bytes that the step needs with the whole batch and without checkpointing, and those there are.
    needed: int
    available: float


def foresee(cfg: DictConfig, num_classes: int) -> Foreseen | None:
    """Count the training step of a config, and say how it fits into the card of `cfg.gpu`.

    None on a CPU profile, and where the step cannot be counted.
    """
    if not cfg.gpu.memory_gb:
        return None
    try:
        footprint = footprint_of(cfg, num_classes)
    except UserError as error:
        log.warning("%s", error)
        return None
    found = fit_into(cfg, footprint, None)
    if found.micro_batch is None or not _may_checkpoint(cfg):
        return found
    try:
        return fit_into(cfg, footprint, footprint_of(cfg, num_classes, checkpointing=True))
    except UserError:
        return found


def fit_into(cfg: DictConfig, footprint: Footprint, checkpointed: Footprint | None) -> Foreseen:
    """Say how a training step fits into the card of `cfg.gpu`.

    Where the whole batch does not, gradient checkpointing comes first if `gpu.checkpointing` says
    so, then a smaller number of images at a time.

    Args:
        cfg: the whole config.
        footprint: of its step.
        checkpointed: of its step with gradient checkpointing; None where it has none.
    """
    size, available = card_batch(cfg), room(cfg.gpu)
    needed = memory.needed(footprint, size)
    if needed <= available:
        return Foreseen(None, False, needed, available)
    less = checkpointed if _may_checkpoint(cfg) else None
    if less is not None and memory.needed(less, size) <= available:
        return Foreseen(None, True, needed, available)
    # The whole batch is augmented before it is cut, and stays.
    fitting = memory.largest_batch(less or footprint, available - _augmented_batch(cfg), size)
    return Foreseen(max(1, fitting), less is not None, needed, available)


def _may_checkpoint(cfg: DictConfig) -> bool:
    return bool(cfg.gpu.checkpointing and not cfg.model.grad_checkpointing)


def _augmented_batch(cfg: DictConfig) -> int:
    """Return the bytes of a card's float32 images of a batch."""
    return int(card_batch(cfg) * 3 * cfg.data.img_size**2 * 4)


def workload(cfg: DictConfig, train: ImageSet, epochs: int) -> dict[str, Any]:
    """Return what the time of a trial depends on, and of a search; `src.plan` learns from it.

    Args:
        cfg: of the trial.
        train: what is cut into folds.
        epochs: of each fold.
    """
    seconds = cfg.quick_validation.seconds
    return {
        "model": cfg.model.name,
        "img_size": cfg.data.img_size,
        "batch_size": cfg.data.batch_size,
        "precision": cfg.trainer.precision,
        "precise_bn": cfg.trainer.precise_bn,
        "trials_per_device": cfg.gpu.trials_per_device,
        "images": len(train),
        "folds": cfg.quick_validation.folds,
        "epochs": epochs * cfg.quick_validation.folds,
        "pruning": pruning(cfg),
        **({} if seconds is None else {"seconds": seconds}),
    }


def pruning(cfg: DictConfig) -> dict[str, Any] | None:
    """Return how a search prunes: `pruner` as in conf/hydra/sweeper/pruner, and `patience`."""
    if not cfg.pruning.enabled or not HydraConfig.initialized():
        return None
    pruner = HydraConfig.get().runtime.choices.get("hydra/sweeper/pruner")
    return {"pruner": pruner, "patience": cfg.pruning.patience}


def _kept_by(optimizer: DictConfig) -> tuple[str, dict[str, Any]]:
    """Return what of the `optimizer` group decides about what it keeps of each weight.

    Of a number such as a momentum it only matters whether it is above 0.
    """
    kwargs: Any = OmegaConf.to_container(optimizer.kwargs, resolve=True)
    plain = {key: value > 0 if isinstance(value, float) else value for key, value in kwargs.items()}
    return optimizer.name, plain


def _shapes_alone(model: DictConfig) -> dict[str, Any]:
    """Return what of the `model` group decides about shapes."""
    plain: Any = OmegaConf.to_container(model, resolve=True)
    plain.update({rate: 0.1 for rate in RATES if plain.get(rate)})
    return {**plain, "pretrained": False, "checkpoint_path": None}
