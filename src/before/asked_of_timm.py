"""What configs ask of a model before it is trained; timm knows it, which brings torch along.

It is asked where torch is (`doctune.launcher.workers.beside`), each thing once a process.
Importing this file registers the resolvers of the configs:

    ${without_effect:PARAMETER,${model},SIZE}  takes an entry out of the search
    ${poolings:${model},SIZE}                  the kinds that the model takes
"""

import functools
import json
from typing import Any

from omegaconf import DictConfig, OmegaConf

from doctune.launcher.workers.beside import call_beside
from src.training.config import ModelConfig


@functools.cache
def made_for(name: str) -> int | None:
    """Return the side of the images that timm's weights of a model were trained at, if any."""
    return call_beside(_made_for, name)


def _made_for(name: str) -> int | None:
    from timm import get_pretrained_cfg  # type: ignore[attr-defined]

    try:
        found = get_pretrained_cfg(name)
    except (RuntimeError, KeyError):
        return None
    return int(found.input_size[-1]) if found is not None else None


def _without_effect(parameter: str, model: DictConfig, img_size: int) -> bool:
    return _asked(parameter, _as_text(model), img_size)


def _poolings(model: DictConfig, img_size: int) -> list[str]:
    return _asked_poolings(_as_text(model), img_size)


def _as_text(model: DictConfig) -> str:
    """Return what the answers depend on: without the rest of the config, and as a key."""
    plain: Any = {key: model[key] for key in ("name", "kwargs", "poolings")}
    return json.dumps(OmegaConf.to_container(OmegaConf.create(plain), resolve=True))


@functools.cache
def _asked(parameter: str, model: str, img_size: int) -> bool:
    return call_beside(_look_for_effect, parameter, model, img_size)


@functools.cache
def _asked_poolings(model: str, img_size: int) -> list[str]:
    return call_beside(_look_for_poolings, model, img_size)


def _look_for_effect(parameter: str, model: str, img_size: int) -> bool:
    from src.training.abilities import without_effect

    return without_effect(parameter, ModelConfig(**json.loads(model)), img_size)


def _look_for_poolings(model: str, img_size: int) -> list[str]:
    from src.training.abilities import poolings_of

    return poolings_of(ModelConfig(**json.loads(model)), img_size)


OmegaConf.register_resolver("without_effect", _without_effect, replace=True)
OmegaConf.register_resolver("poolings", _poolings, replace=True)
