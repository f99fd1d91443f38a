"""What a config's training step needs, counted before it runs, and how a trial makes it fit."""

import json
import logging
from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import nn

from src.data.image_set import ImageSet
from src.errors import UserError
from src.hardware import memory
from src.hardware.counted_step import StepKind
from src.hardware.footprint import Footprint, count_footprint
from src.training.backbone import create_backbone
from src.training.optimizer import build_optimizer

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
    key = json.dumps([repr(kind), model, cfg.optimizer.name, checkpointing], default=str)
    if key not in _counted:
        make = _model_maker(OmegaConf.merge(cfg.model, model), kind, checkpointing)
        try:
            _counted[key] = count_footprint(
                make, lambda made: build_optimizer(made, cfg.optimizer, kind.precision), kind
            )
        except (RuntimeError, NotImplementedError, ValueError, TypeError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise UserError(
                f"model.name={cfg.model.name}: its memory cannot be counted ({reason})"
            ) from error
    return _counted[key]


def foreseen_micro_batch(cfg: DictConfig, num_classes: int) -> int | None:
    """Return how many images at a time fit into the card of `cfg.gpu`.

    None where the whole batch fits, on a CPU profile, and where nothing can be foreseen.
    """
    if not cfg.gpu.memory_gb:
        return None
    try:
        footprint = footprint_of(cfg, num_classes)
    except UserError as error:
        log.warning("%s", error)
        return None
    batch_size = cfg.data.batch_size
    fitting = memory.largest_batch(footprint, memory.available(cfg.gpu), batch_size)
    if fitting >= batch_size:
        return None
    log.info(
        "a batch of %d at %d px needs %.1f GB of the %.1f GB that a trial has on gpu=%s: "
        "%d images go through the model at a time",
        *(batch_size, cfg.data.img_size, memory.needed(footprint, batch_size) / memory.GIB),
        *(memory.available(cfg.gpu) / memory.GIB, cfg.gpu.name, max(1, fitting)),
    )
    return max(1, fitting)


def workload(cfg: DictConfig, train: ImageSet) -> dict[str, Any]:
    """Return what the time of a trial depends on, and of a search; `src.plan` learns from it."""
    return {
        "model": cfg.model.name,
        "img_size": cfg.data.img_size,
        "batch_size": cfg.data.batch_size,
        "precision": cfg.trainer.precision,
        "images": len(train),
        "folds": cfg.quick_validation.folds,
        "epochs": cfg.quick_validation.epochs * cfg.quick_validation.folds,
        "patience": cfg.pruning.patience if cfg.pruning.enabled else None,
    }


def _shapes_alone(model: DictConfig) -> dict[str, Any]:
    """Return what of the `model` group decides about shapes."""
    plain: Any = OmegaConf.to_container(model, resolve=True)
    plain.update({rate: 0.1 for rate in RATES if plain.get(rate)})
    return {**plain, "pretrained": False, "checkpoint_path": None}


def _model_maker(model: Any, kind: StepKind, checkpointing: bool) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        made = create_backbone(model, kind.num_classes, kind.img_size)
        if checkpointing:
            switch: Any = getattr(made, "set_grad_checkpointing", None)
            if switch is None:
                raise NotImplementedError("timm has no gradient checkpointing for it")
            try:
                switch(True)
            except AssertionError as error:
                raise NotImplementedError(str(error)) from error
        return made

    return make
