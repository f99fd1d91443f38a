"""Parameters: what they are called, how they are written, and sets of them that matter."""

import math
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from doctune.space.entries import choices, value_of
from doctune.space.grammar import value_as_typed

# The config's own value of a key cannot be written as a parameter.
NO_PARAMETER: Any = object()


def describe(distribution: BaseDistribution) -> str:
    """Write a range for the user."""
    if isinstance(distribution, CategoricalDistribution):
        return "{" + ", ".join(str(choice) for choice in distribution.choices) + "}"
    if isinstance(distribution, (FloatDistribution, IntDistribution)):
        scale = " (log)" if distribution.log else ""
        return f"{distribution.low:g}..{distribution.high:g}{scale}"
    return str(distribution)


def examples(distributions: Mapping[str, BaseDistribution]) -> list[dict[str, Any]]:
    """Return parameter sets that together name every choice and both ends of every range."""
    ends: dict[str, list[Any]] = {}
    for name, dist in distributions.items():
        if isinstance(dist, CategoricalDistribution):
            ends[name] = list(dist.choices)
        elif isinstance(dist, (FloatDistribution, IntDistribution)):
            ends[name] = [dist.low, dist.high]
    longest = max((len(values) for values in ends.values()), default=1)
    return [
        {name: values[min(i, len(values) - 1)] for name, values in ends.items()}
        for i in range(longest)
    ]


def own_value(
    config: DictConfig, key: str, distribution: BaseDistribution, as_typed: bool = False
) -> Any:
    """Return the config's own value of a key as a parameter, or `NO_PARAMETER`.

    A number may lie outside of the range, which Optuna allows for what is queued.

    Args:
        config: of a job without the parameter.
        key: as on a command line, perhaps with a +.
        distribution: the range.
        as_typed: whether choices are written in Hydra's grammar.
    """
    if not _has(config, key):
        # `+key` adds what the config as it is goes without.
        return NO_PARAMETER
    own = value_of(config, key)
    plain = OmegaConf.to_container(own, resolve=True) if OmegaConf.is_config(own) else own
    if isinstance(distribution, CategoricalDistribution):
        for choice in distribution.choices:
            raw = as_typed and isinstance(choice, str)
            if _is_same(value_as_typed(str(choice)) if raw else choice, plain):
                return choice
        return NO_PARAMETER
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    if isinstance(plain, bool) or not isinstance(plain, (int, float)) or not math.isfinite(plain):
        return NO_PARAMETER
    if distribution.log and plain <= 0:
        return NO_PARAMETER
    if isinstance(distribution, IntDistribution):
        return int(plain) if plain == int(plain) else NO_PARAMETER
    return float(plain)


def _has(config: DictConfig, key: str) -> bool:
    name = key.lstrip("+")
    if name in choices(config):
        return True
    above, _, last = name.rpartition(".")
    parent = OmegaConf.select(config, above) if above else config
    return isinstance(parent, DictConfig) and last in parent


def _is_same(choice: Any, own: Any) -> bool:
    return bool(choice == own) and isinstance(choice, bool) == isinstance(own, bool)
