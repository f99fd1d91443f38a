"""The timm model that is trained: made by name, with weights from the hub or from a file."""

import difflib
import logging
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from torch import nn

from src.errors import UserError
from src.training.config import ModelConfig

log = logging.getLogger(__name__)


def create_backbone(cfg: ModelConfig, num_classes: int, img_size: int) -> nn.Module:
    """Make the model that `cfg` describes.

    Args:
        cfg: the `model` group.
        num_classes: width of the classifier.
        img_size: side of the images in pixels; told to the models that must know (Swin, ViT).

    Raises:
        UserError: timm has no such model, it does not take an argument, or weights are missing.
    """
    check_name(cfg.name)
    kwargs: dict[str, Any] = {"drop_rate": cfg.drop_rate, **cfg.kwargs}
    if cfg.drop_path_rate:
        kwargs["drop_path_rate"] = cfg.drop_path_rate
    try:
        model = _create(cfg, num_classes, {**kwargs, "img_size": img_size})
    except TypeError as error:
        if "img_size" not in str(error):
            raise UserError(f"model.name={cfg.name}: {error}") from error
        try:
            model = _create(cfg, num_classes, kwargs)
        except TypeError as unknown:
            raise UserError(f"model.name={cfg.name} does not take this: {unknown}") from unknown
    if cfg.checkpoint_path is not None:
        _load_weights(model, Path(cfg.checkpoint_path))
    return model


def check_name(name: str) -> None:
    """Refuse a name that timm does not know, with the nearest ones that it does.

    Raises:
        UserError: there is no such model.
    """
    if timm.is_model(name):
        return
    near = difflib.get_close_matches(name.split(".")[0], timm.list_models(), n=3)
    hint = f"did you mean {', '.join(near)}?" if near else "see timm.list_models()"
    raise UserError(f"model.name={name}: timm has no such model; {hint}")


def _create(cfg: ModelConfig, num_classes: int, kwargs: dict[str, Any]) -> nn.Module:
    pretrained = cfg.pretrained and cfg.checkpoint_path is None
    try:
        model: nn.Module = timm.create_model(
            cfg.name, pretrained=pretrained, num_classes=num_classes, **kwargs
        )
    except (OSError, RuntimeError) as error:
        # The hub's client raises many kinds of both; all mean that no weights came.
        if not pretrained:
            raise
        raise UserError(
            f"model.pretrained=true: no weights for {cfg.name} could be fetched "
            f"({type(error).__name__}); give model.checkpoint_path=FILE or model.pretrained=false"
        ) from error
    return model


def _load_weights(model: nn.Module, path: Path) -> None:
    """Load what fits from a file of weights; the classifier keeps its fresh weights."""
    if not path.is_file():
        raise UserError(f"model.checkpoint_path={path}: there is no such file")
    if path.suffix == ".safetensors":
        weights = load_file(path)
    else:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    weights = weights.get("state_dict", weights)
    own = model.state_dict()
    fitting = {
        name: tensor
        for name, tensor in weights.items()
        if name in own and own[name].shape == tensor.shape
    }
    left_out = sorted((set(weights) | set(own)) - set(fitting))
    if not fitting:
        raise UserError(f"model.checkpoint_path={path}: nothing in it fits this model")
    model.load_state_dict(fitting, strict=False)
    log.info("loaded %d tensors from %s; not taken: %s", len(fitting), path, left_out or "none")
