"""What of the `model` group acts on a model, and what of it can be searched.

timm's models take arguments that do nothing in them, refuse others, and mean different things by
some. So a model is made of shapes alone, without memory or weights, one batch of shapes goes
through it, and what happens is looked at: takes tenths of a second.
"""

import contextlib
import dataclasses
import functools
import json
from collections.abc import Callable
from typing import Any

import torch
from omegaconf import OmegaConf
from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from doctune.errors import UserError
from src.training.backbone import LAYER_SCALE, made_for, make_backbone
from src.training.batch_norm import norms_with_statistics
from src.training.config import ModelConfig
from src.training.shapes_alone import shapes_alone

# Any that shows: masks are told by their rates.
PROBE = 0.25
# A first value of layer scale that nothing else is set to.
ODD = 0.0123456789
# Kinds of pooling that a search tries, behind the model's own.
POOLINGS = ("avg", "max")
# All that timm's models have, to find the name of a model's own.
ALL_POOLINGS = (*POOLINGS, "avgmax", "catavgmax", "token", "map", "fast")
# The model's own that are another by a shorter way (timm's TResNet).
SAME_AS = {"fast": "avg"}
# What a probe ends with where a model does not take an argument or the images.
REFUSALS = (UserError, AssertionError, RuntimeError, ValueError, TypeError, NotImplementedError)


class Abilities:
    """What acts on one model at one image size; each thing is looked at when it is asked for.

    Args:
        cfg: the `model` group; of it, name and `kwargs` count.
        img_size: side of the images in pixels.
    """

    def __init__(self, cfg: ModelConfig, img_size: int) -> None:
        own: Any = OmegaConf.to_container(cfg.kwargs) if OmegaConf.is_config(cfg.kwargs) else None
        self.cfg = ModelConfig(cfg.name, kwargs=own or dict(cfg.kwargs))
        self._size = img_size

    def _changed(self, **values: Any) -> ModelConfig:
        return dataclasses.replace(self.cfg, **values)

    @functools.cached_property
    def parameters(self) -> int:
        """Return how many numbers are trained, with two classes."""
        with shapes_alone():
            model = make_backbone(self.cfg, 2, self._size)
        return sum(parameter.numel() for parameter in model.parameters())

    @functools.cached_property
    def fixed_masks(self) -> tuple[float, ...] | None:
        """Return the rates of dropout that stay where all rates are 0; None: cannot be seen."""
        return self._masks(self.cfg)

    @functools.cached_property
    def drop_path(self) -> tuple[float, ...] | None:
        """Return the share of `model.drop_path_rate` that each place drops, in running order.

        Empty where it does nothing or is not taken; None where that cannot be seen.
        """
        return self._acting("drop_path_rate")

    @functools.cached_property
    def dropout(self) -> tuple[float, ...] | None:
        """Return the share of `model.drop_rate` that each place drops; as for `drop_path`."""
        return self._acting("drop_rate")

    def _acting(self, key: str) -> tuple[float, ...] | None:
        try:
            found = self._masks(self._changed(**{key: PROBE}))
        except UserError:
            return ()
        if not found:
            return found
        rest = list(self.fixed_masks or ())
        for rate in rest:
            if rate in found:
                found = (*found[: found.index(rate)], *found[found.index(rate) + 1 :])
        return tuple(round(rate / PROBE, 4) for rate in found)

    def _masks(self, cfg: ModelConfig) -> tuple[float, ...] | None:
        """Return the rates of all masks that a training forward draws.

        Raises:
            UserError: the model cannot be made so.
        """
        with shapes_alone():
            model = make_backbone(cfg, 2, self._size).train()
            with contextlib.suppress(*REFUSALS), _Masks() as seen:
                model(torch.empty(2, 3, self._size, self._size))
                return tuple(seen.rates)
        return None

    @functools.cached_property
    def drop_path_places(self) -> int:
        """Return how many modules of the model are there to drop paths."""
        with shapes_alone():
            try:
                model = make_backbone(self._changed(drop_path_rate=PROBE), 2, self._size)
            except UserError:
                return 0
        return sum(getattr(part, "drop_prob", 0) > 0 for part in model.modules())

    @property
    def takes_images(self) -> bool:
        """Tell whether images of that size go through the model."""
        return self._with_pooling(None) is not None

    @functools.cached_property
    def own_pooling(self) -> str | None:
        """Return the name of the pooling that the model has by itself; None: it has no name."""
        own = self._with_pooling(None)
        if own is None:
            return None
        # What it calls its own is mostly right, but some have parts that pool otherwise.
        named = [value for _, _, value in _pooling_of(own)[1:] if value in ALL_POOLINGS]
        kinds: list[str] = [*reversed(named), *ALL_POOLINGS]
        for kind in dict.fromkeys(kinds):
            other = self._with_pooling(kind)
            if other is not None and _pooling_of(other) == _pooling_of(own):
                return kind
        return None

    @functools.cached_property
    def poolings(self) -> tuple[str, ...]:
        """Return the kinds of pooling that a search may choose from, the model's own first."""
        own = self.own_pooling
        others = [kind for kind in POOLINGS if kind != SAME_AS.get(own or "")]
        wanted = dict.fromkeys([own, *others])
        seen: list[Any] = []
        found = []
        for kind in wanted:
            model = self._with_pooling(kind) if kind is not None else None
            # Some models take the word and do as before.
            if kind is None or model is None or _pooling_of(model) in seen:
                continue
            seen.append(_pooling_of(model))
            found.append(kind)
        return tuple(found[:1] if len(found) > 1 and self.one_place else found)

    @functools.cached_property
    def one_place(self) -> bool:
        """Tell whether so small images leave one place to pool over, where all kinds are alike."""
        own, shapes = self._with_pooling(None), list[Any]()
        if own is None:
            return False
        pools = [part for part in own.modules() if isinstance(part, SelectAdaptivePool2d)]
        hooks = [
            part.register_forward_pre_hook(lambda _, given: shapes.append(given[0].shape[1:]))
            for part in pools
        ]
        with shapes_alone(), contextlib.suppress(*REFUSALS):
            own(torch.empty(1, 3, self._size, self._size))
        for hook in hooks:
            hook.remove()
        # Channels come first in some models, last in others.
        return bool(shapes) and all(sorted(shape)[:2] == [1, 1] for shape in shapes)

    def fresh_with(self, pooling: str) -> tuple[str, ...]:
        """Return the weights that the model has with that pooling and its own has not.

        They start afresh, however well the others are trained.
        """
        own, other = self._with_pooling(None), self._with_pooling(pooling)
        if own is None or other is None:
            return ()
        there = {name for name, _ in own.named_parameters()}
        return tuple(name for name, _ in other.named_parameters() if name not in there)

    @functools.cache  # noqa: B019 - as long as the process, like the rest
    def _with_pooling(self, kind: str | None) -> nn.Module | None:
        with shapes_alone():
            try:
                model = make_backbone(self._changed(pooling=kind), 2, self._size).eval()
                scores = model(torch.empty(1, 3, self._size, self._size))
            except NotImplementedError:
                return model
            except REFUSALS:
                return None
        return model if scores.shape == (1, 2) else None

    @functools.cached_property
    def layer_scale(self) -> str | None:
        """Return what timm calls the first value of the model's layer scale; None: it has none."""
        for name in LAYER_SCALE:
            changed = self._changed(kwargs={**self.cfg.kwargs, name: ODD})
            # Some models take the word and have no layer scale.
            with shapes_alone(), contextlib.suppress(UserError), _Sees(ODD) as seen:
                make_backbone(changed, 2, self._size)
            if seen.found:
                return name
        return None

    @functools.cached_property
    def batch_norm(self) -> bool:
        """Tell whether its norms keep statistics of what goes into them."""
        with shapes_alone():
            return bool(norms_with_statistics(make_backbone(self.cfg, 2, self._size)))

    @functools.cached_property
    def checkpointing(self) -> bool:
        """Tell whether its blocks can be computed again in backward."""
        with shapes_alone(), contextlib.suppress(UserError):
            make_backbone(self._changed(grad_checkpointing=True), 2, self._size)
            return True
        return False


_known: dict[str, Abilities] = {}


def abilities(cfg: ModelConfig, img_size: int) -> Abilities:
    """Return what acts on a model, looked at once a process.

    Args:
        cfg: the `model` group; of it, name and `kwargs` count.
        img_size: side of the images in pixels. A model that does not take it is looked at with what
            it was made for, as a search may be over other sizes.
    """
    found = Abilities(cfg, img_size)
    key = json.dumps([cfg.name, found.cfg.kwargs, img_size], default=str)
    if key not in _known:
        own = made_for(cfg.name) or img_size
        if own != img_size and not found.takes_images:
            found = Abilities(cfg, own)
        _known[key] = found
    return _known[key]


def without_effect(parameter: str, cfg: ModelConfig, img_size: int) -> bool:
    """Tell whether a parameter does nothing in a model, or is not taken by it.

    Args:
        parameter: drop_path, dropout, or pooling, which needs two kinds to choose from.
        cfg: the `model` group.
        img_size: side of the images in pixels.
    """
    try:
        if parameter == "pooling":
            return len(poolings_of(cfg, img_size)) < 2
        return bool(getattr(abilities(cfg, img_size), parameter) == ())
    except UserError:  # which is told where the model is checked
        return False


def poolings_of(cfg: ModelConfig, img_size: int) -> list[str]:
    """Return the kinds of pooling that a search chooses from: those of the config, or all."""
    if cfg.poolings is not None:
        return list(cfg.poolings)
    try:
        return list(abilities(cfg, img_size).poolings) or list(POOLINGS[:1])
    except UserError:  # which is told where the model is checked
        return list(POOLINGS)


class _Masks(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps the rates of the masks that are drawn."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rates: list[float] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in (torch.ops.aten.bernoulli_.float, torch.ops.aten.bernoulli.p):
            kept = args[1] if len(args) > 1 else 0.5
            self.rates.append(round(1 - kept, 6))
        elif func is torch.ops.aten.native_dropout.default:
            self.rates.append(round(args[1], 6))
        run: Callable[..., Tensor] = func
        return run(*args, **(kwargs or {}))


class _Sees(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Knows whether a tensor was filled or multiplied with a number."""

    def __init__(self, number: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._number = number
        self.found = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.found |= any(isinstance(arg, float) and arg == self._number for arg in args)
        run: Callable[..., Tensor] = func
        return run(*args, **(kwargs or {}))


def _pooling_of(model: nn.Module) -> tuple[Any, ...]:
    """Return what two models that pool alike have in common, and others have not."""
    kinds = [
        (name, key, getattr(part, key))
        for name, part in model.named_modules()
        for key in ("global_pool", "pool_type")
        if isinstance(getattr(part, key, None), str)
    ]
    return (repr(model), *kinds)
