"""The timm model that is trained: made by name, with what the `model` group sets in it."""

import dataclasses
import json
import re
from typing import Any

import timm
import torch
from omegaconf import OmegaConf
from torch import nn

from doctune.errors import UserError, first_line
from src.training.checkpointing import checkpoint_blocks
from src.training.config import ModelConfig
from src.training.model_names import no_such_model
from src.training.shapes_alone import shapes_alone
from src.training.weights import load_pretrained, load_weights

# What timm's models call the first value of layer scale.
LAYER_SCALE = (
    *("ls_init_value", "init_values"),
    *("layer_scale_init_value", "layer_scale_init_values"),
)


# What `_told_size` has found out in this process.
_told: dict[str, int | None] = {}


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
    _check_values(cfg)
    told = _told_size(cfg, img_size)
    if cfg.checkpoint_path is not None:
        model = _create(cfg, num_classes, told)
        load_weights(model, cfg.checkpoint_path)
    elif cfg.pretrained:
        model = load_pretrained(cfg.name, lambda hub: _create(cfg, num_classes, told, hub))
    else:
        model = _create(cfg, num_classes, told)
    if cfg.grad_checkpointing:
        checkpoint_blocks(model, cfg.name)
    return model


def make_backbone(cfg: ModelConfig, num_classes: int, img_size: int) -> nn.Module:
    """Make the model without its weights, for a look at it; arguments as for `create_backbone`."""
    return create_backbone(
        dataclasses.replace(cfg, pretrained=False, checkpoint_path=None), num_classes, img_size
    )


def channels_last(model: nn.Module) -> None:
    """Put the weights of convolutions over images into channels-last order.

    Torch's own `to(memory_format=...)` refuses models that have others, over three dimensions.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)


def check_backbone(cfg: ModelConfig, img_size: int) -> None:
    """Refuse what `create_backbone` would refuse, and image sizes that the model cannot take.

    Nothing is allocated, downloaded or computed: the model is made of shapes alone, and one
    batch of shapes goes through it.

    Raises:
        UserError: names the key, the value and what to do.
    """
    check_name(cfg.name)
    _check_values(cfg)
    with shapes_alone():
        model = _create(cfg, 2, _told_size(cfg, img_size)).eval()
        if cfg.grad_checkpointing:
            checkpoint_blocks(model, cfg.name)
        try:
            scores = model(torch.empty(1, 3, img_size, img_size))
        except NotImplementedError:  # needs values, not only shapes: seen when it trains
            return
        except (AssertionError, RuntimeError, ValueError) as error:
            if _is_the_pooling(cfg, img_size):
                raise _refused(cfg, img_size, error) from error
            own = made_for(cfg.name) or img_size
            hint = f"; it was made for {own}: data.img_size={own}" if own != img_size else ""
            raise UserError(
                f"data.img_size={img_size}: {cfg.name} cannot take images of that size "
                f"({first_line(error)}){hint}"
            ) from error
    if scores.shape != (1, 2):
        raise UserError(
            f"model.name={cfg.name} gives scores of shape {tuple(scores.shape)} for one image and "
            "two classes; take a model that classifies"
        )


def made_for(name: str) -> int | None:
    """Return the side of the images that a model of timm was made for; None: timm does not say."""
    usual = timm.get_pretrained_cfg(name, allow_unregistered=True)
    return usual.input_size[-1] if usual else None


def check_weights(cfg: ModelConfig, img_size: int) -> None:
    """Refuse first weights that `create_backbone` would not get, and fetch those it would.

    Raises:
        UserError: they cannot be fetched, or the file is missing or of another model.
    """
    if cfg.pretrained or cfg.checkpoint_path is not None:
        create_backbone(cfg, 2, img_size)


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
    raise no_such_model(name, timm.list_models())


def _check_values(cfg: ModelConfig) -> None:
    if cfg.pooling == "":
        raise UserError("model.pooling='': the classifier needs one; take avg, max or avgmax")
    if cfg.layer_scale is None:
        return
    if not cfg.layer_scale > 0:
        raise UserError(f"model.layer_scale={cfg.layer_scale}: must be above 0")
    for key in ("checkpoint_path", "pretrained"):
        if getattr(cfg, key):
            raise UserError(
                f"model.layer_scale={cfg.layer_scale}: model.{key}={getattr(cfg, key)} brings "
                "trained values along; leave layer_scale out, or train from scratch"
            )


def _names(error: TypeError, argument: str) -> bool:
    """Tell whether it is about that argument, in Python's words or in timm's."""
    return re.search(rf"argument(\(s\): \[.*)? ?'{argument}'", str(error)) is not None


def _told_size(cfg: ModelConfig, img_size: int) -> int | None:
    """Return the size that timm is told, None for the few models that take it only untold."""
    if "img_size" in cfg.kwargs or made_for(cfg.name) == img_size:
        return img_size
    key = json.dumps([cfg.name, dict(cfg.kwargs), img_size], default=str)
    if key not in _told:
        shapes = ModelConfig(cfg.name, kwargs=cfg.kwargs)
        # As if nothing had been drawn: the next model of this process is not tried.
        with shapes_alone():
            only_untold = not _takes(shapes, img_size, img_size) and _takes(shapes, None, img_size)
        _told[key] = None if only_untold else img_size
    return _told[key]


def _takes(cfg: ModelConfig, told: int | None, img_size: int) -> bool:
    """Tell whether images go through the model, or refuse for another reason than their size."""
    try:
        _create(cfg, 2, told).eval()(torch.empty(1, 3, img_size, img_size))
    except NotImplementedError:
        return True
    except (AssertionError, RuntimeError, ValueError, UserError):
        return False
    return True


def _create(
    cfg: ModelConfig, num_classes: int, img_size: int | None, hub: bool = False
) -> nn.Module:
    """Make the model, with the arguments under the names that it has for them.

    `img_size`: None is not told. `hub`: with the weights that timm fetches.
    """
    own: Any = cfg.kwargs
    if OmegaConf.is_config(own):  # lists inside, too, as timm wants them
        own = OmegaConf.to_container(own)
    # Rates of 0 too, as some models have others by themselves.
    rates = {"drop_rate": cfg.drop_rate, "drop_path_rate": cfg.drop_path_rate}
    kwargs: dict[str, Any] = {**rates, **own}
    if img_size is not None:
        kwargs.setdefault("img_size", img_size)
    if cfg.pooling is not None:
        kwargs["global_pool"] = cfg.pooling
    scales = list(LAYER_SCALE)
    if cfg.layer_scale is not None:
        kwargs[scales[0]] = cfg.layer_scale
    while True:
        try:
            model: nn.Module = timm.create_model(
                cfg.name, pretrained=hub, num_classes=num_classes, **kwargs
            )
        except TypeError as error:
            unknown = next((name for name in kwargs if _names(error, name)), None)
            if unknown is None or unknown in cfg.kwargs:
                raise _refused(cfg, img_size, error) from error
            value = kwargs.pop(unknown)
            if unknown in scales[:-1]:
                kwargs[scales[scales.index(unknown) + 1]] = value
            elif unknown != "img_size" and value:
                raise _has_none(cfg, unknown) from error
        except (ValueError, AssertionError) as error:
            raise _refused(cfg, img_size, error) from error
        else:
            return model


def _has_none(cfg: ModelConfig, argument: str) -> UserError:
    key, thing, without = {
        "drop_rate": ("drop_rate", "dropout", "set it to 0"),
        "drop_path_rate": ("drop_path_rate", "stochastic depth", "set it to 0"),
        "global_pool": ("pooling", "choice of pooling", "leave it null"),
        LAYER_SCALE[-1]: ("layer_scale", "layer scale", "leave it null"),
    }[argument]
    return UserError(
        f"model.{key}={getattr(cfg, key)}: {cfg.name} has no {thing}; {without} "
        "or take another model"
    )


def _refused(cfg: ModelConfig, img_size: int | None, error: Exception) -> UserError:
    reason = first_line(error)
    if cfg.pooling is not None and ("pool" in reason.lower() or _is_the_pooling(cfg, img_size)):
        return UserError(
            f"model.pooling={cfg.pooling}: {cfg.name} does not take it; most models take avg, "
            f"max and avgmax, some transformers token and map ({reason})"
        )
    return UserError(
        f"model.name={cfg.name} does not take this: {reason}\n"
        f"given were model.kwargs={dict(cfg.kwargs)} and data.img_size={img_size}"
    )


def _is_the_pooling(cfg: ModelConfig, img_size: int | None) -> bool:
    """Tell whether the model is made, and takes images, without the pooling that is asked for."""
    if cfg.pooling is None:
        return False
    with shapes_alone():
        return _takes(ModelConfig(cfg.name, kwargs=cfg.kwargs), img_size, img_size or 224)
