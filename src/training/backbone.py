"""The timm model that is trained: made by name, with weights from the hub or from a file."""

import difflib
import logging
import pickle
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
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
        model = _create_sized(cfg, num_classes, kwargs, img_size)
    except (TypeError, ValueError, AssertionError) as error:
        if "'drop_path_rate'" in str(error):
            raise UserError(
                f"model.drop_path_rate={cfg.drop_path_rate}: {cfg.name} has no stochastic depth; "
                "set it to 0 or take another model"
            ) from error
        raise UserError(
            f"model.name={cfg.name} does not take this: {error}\n"
            f"given were model.kwargs={dict(cfg.kwargs)} and data.img_size={img_size}"
        ) from error
    if cfg.checkpoint_path is not None:
        _load_weights(model, Path(cfg.checkpoint_path))
    return model


def check_name(name: str) -> None:
    """Refuse a name that timm does not know, with the nearest ones that it does.

    Raises:
        UserError: there is no such model.
    """
    architecture, _, tag = name.partition(".")
    if timm.is_model(architecture):
        weights = timm.list_models(f"{architecture}.*", pretrained=True)
        if tag and name not in weights:
            raise UserError(f"model.name={name}: timm has no such weights; it has {weights}")
        return
    near = difflib.get_close_matches(architecture, timm.list_models(), n=3)
    hint = f"did you mean {', '.join(near)}?" if near else "see timm.list_models()"
    raise UserError(f"model.name={name}: timm has no such model; {hint}")


def _create_sized(
    cfg: ModelConfig, num_classes: int, kwargs: dict[str, Any], img_size: int
) -> nn.Module:
    """Create with the image size where the model takes one, and without it elsewhere."""
    try:
        return _create(cfg, num_classes, {**kwargs, "img_size": img_size})
    except TypeError as error:
        if "'img_size'" not in str(error):
            raise
    return _create(cfg, num_classes, kwargs)


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
    """Load what fits from a file of weights; the classifier keeps its fresh weights.

    Raises:
        UserError: the file is missing or unreadable, or is of another model.
    """
    if not path.is_file():
        raise UserError(f"model.checkpoint_path={path}: there is no such file")
    weights = _read_weights(path)
    own = model.state_dict()
    heads: Any = getattr(model, "pretrained_cfg", {}).get("classifier") or ()
    prefixes = tuple(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads))
    fitting = {
        name: tensor
        for name, tensor in weights.items()
        if name in own and own[name].shape == tensor.shape and not name.startswith(prefixes)
    }
    left_out = sorted((set(weights) | set(own)) - set(fitting))
    if not fitting:
        raise UserError(f"model.checkpoint_path={path}: nothing in it fits this model")
    model.load_state_dict(fitting, strict=False)
    log.info("loaded %d tensors from %s; not taken: %s", len(fitting), path, left_out or "none")


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            tensors: dict[str, torch.Tensor] = load_file(path)
            return tensors
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (
        SafetensorError,
        pickle.UnpicklingError,
        EOFError,
        KeyError,
        RuntimeError,
        ValueError,
    ) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(
            f"model.checkpoint_path={path}: is no file of weights (safetensors, or tensors "
            f"saved by torch)\n{reason}"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"model.checkpoint_path={path}: holds no weights by name")
    named: dict[str, Any] = content.get("state_dict", content)
    if "pytorch-lightning_version" in content:
        # A run of this program: the timm model is the Classifier's attribute `model`.
        named = {name.removeprefix("model."): tensor for name, tensor in named.items()}
    return {name: tensor for name, tensor in named.items() if isinstance(tensor, torch.Tensor)}
