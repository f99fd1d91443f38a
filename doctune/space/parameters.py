"""Parameters: what they are called, how they are written, and sets of them that matter."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from doctune.space.entries import value_of
from doctune.words import key_of


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


def defaults_within(
    distributions: Mapping[str, BaseDistribution], config: DictConfig
) -> dict[str, Any]:
    """Return the config's own values of the searched keys, moved to the nearest end of a range.

    Keys whose value is not among the choices are left to the sampler.
    """
    found: dict[str, Any] = {}
    for name, dist in distributions.items():
        value = value_of(config, key_of(name))
        if isinstance(dist, CategoricalDistribution):
            if value in dist.choices:
                found[name] = value
        elif isinstance(dist, (FloatDistribution, IntDistribution)) and value is not None:
            found[name] = min(max(value, dist.low), dist.high)
    return found
