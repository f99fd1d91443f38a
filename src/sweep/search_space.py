"""The search space: typed entries and Hydra's own sweep grammar, brought together.

Three sources, the later ones stronger: typed entries (`search_space`), `hydra.sweeper.params`,
the command line. A plain value on the command line takes its key out of the search, a sweep
(`optimizer.lr=tag(log, interval(1e-5, 1e-3))`) puts it in. Parameters are named after the
config key that they set, in all three, so that a study can be compared with any other.
"""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString
from hydra_plugins.hydra_optuna_sweeper._impl import create_params_from_overrides
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from src.sweep.errors import SweepError

TYPES = ("loguniform", "uniform", "int", "logint", "categorical")
# Texts that Hydra's grammar reads as something else.
RESERVED = ("null", "true", "false", "nan", "inf")
FIELDS = ("type", "key", "low", "high", "step", "choices", "unless")


@dataclass
class SearchSpace:
    """What is sampled, and what every job is given as it is."""

    distributions: dict[str, BaseDistribution] = field(default_factory=dict)
    # Config key -> value as typed, for the record in the study.
    fixed: dict[str, Any] = field(default_factory=dict)
    # Deletions (`~key`), which are passed on untouched.
    passed_on: list[str] = field(default_factory=list)
    # Keys whose choices come from Hydra's grammar and are written in it already.
    as_typed: frozenset[str] = frozenset()

    def job_overrides(self, params: Mapping[str, Any]) -> list[str]:
        """Return the overrides of a job with the sampled `params`."""
        sampled = [
            f"{key}={value}" if key in self.as_typed else to_override(key, value)
            for key, value in params.items()
        ]
        fixed = [f"{key}={value}" for key, value in self.fixed.items()]
        return [*sampled, *fixed, *self.passed_on]


def build_search_space(
    typed: DictConfig | None, params: Sequence[str], arguments: Sequence[str]
) -> SearchSpace:
    """Merge the three sources.

    Args:
        typed: entries as in `conf/search_space/`.
        params: `hydra.sweeper.params` as overrides.
        arguments: the overrides of the command line.

    Raises:
        SweepError: an entry is wrong; the message names it.
    """
    swept: dict[str, BaseDistribution] = {}
    fixed: dict[str, Any] = {}
    passed_on: list[str] = []
    for text in [*params, *arguments]:
        try:
            sweep, value, deletion = create_params_from_overrides([text])
        except (ValueError, AssertionError, NotImplementedError) as error:
            raise SweepError(f"{text}: {error}") from error
        for key in sweep:
            fixed.pop(key, None)
        for key in value:
            swept.pop(key, None)
        swept.update(sweep)
        fixed.update(value)
        passed_on.extend(deletion)
    distributions = {
        key: dist for key, dist in typed_distributions(typed).items() if key not in fixed
    }
    distributions.update(swept)
    return SearchSpace(distributions, fixed, passed_on, frozenset(swept))


def typed_distributions(typed: DictConfig | None) -> dict[str, BaseDistribution]:
    """Turn typed entries into distributions, keyed by the config key that each sets."""
    if not typed:
        return {}
    found: dict[str, BaseDistribution] = {}
    entries: Any = OmegaConf.to_container(typed, resolve=True)
    for name, entry in entries.items():
        if entry is None or entry.get("unless") not in (None, False):
            continue
        key, distribution = _parse_entry(f"search_space.{name}", entry)
        if key in found:
            raise SweepError(f"search_space.{name}.key: '{key}' is set by another entry already")
        found[key] = distribution
    return found


def _parse_entry(where: str, entry: Any) -> tuple[str, BaseDistribution]:
    if not isinstance(entry, dict):
        raise SweepError(f"{where}: {entry!r} is no entry; give type, key and low/high or choices")
    for name in entry:
        if name not in FIELDS:
            raise SweepError(f"{where}.{name}: unknown{_nearest(name, FIELDS)}")
    if not entry.get("key"):
        raise SweepError(f"{where}.key: missing; name the config key that it sets")
    kind = entry.get("type")
    if kind not in TYPES:
        raise SweepError(f"{where}.type: {kind!r} is unknown{_nearest(str(kind), TYPES)}")
    if kind == "categorical":
        return entry["key"], _categorical(where, entry.get("choices"))
    return entry["key"], _numeric(where, kind, entry)


def _categorical(where: str, choices: Any) -> CategoricalDistribution:
    if not isinstance(choices, list) or not choices:
        raise SweepError(f"{where}.choices: {choices!r} is empty; list at least one value")
    for choice in choices:
        if not isinstance(choice, (str, int, float, bool, type(None))):
            raise SweepError(f"{where}.choices: {choice!r} is neither a number nor a text")
    return CategoricalDistribution(list(dict.fromkeys(choices)))


def _numeric(where: str, kind: str, entry: dict[str, Any]) -> BaseDistribution:
    low, high = (_number(f"{where}.{side}", entry.get(side)) for side in ("low", "high"))
    if low >= high:
        raise SweepError(f"{where}: low {low:g} is not below high {high:g}; swap or widen them")
    log = kind in ("loguniform", "logint")
    if log and low <= 0:
        raise SweepError(f"{where}.low: {low:g} must be above 0 on a log scale")
    if kind in ("int", "logint"):
        if low != int(low) or high != int(high):
            raise SweepError(f"{where}: low {low:g} and high {high:g} must be whole numbers")
        step = int(entry.get("step") or 1)
        return IntDistribution(int(low), int(high), log=log, step=1 if log else step)
    return FloatDistribution(low, high, log=log, step=None if log else entry.get("step"))


def _number(where: str, value: Any) -> float:
    # YAML reads 1e-5 as a text.
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise SweepError(f"{where}: {value!r} is not a number") from None
    if not math.isfinite(number) or isinstance(value, bool):
        raise SweepError(f"{where}: {value!r} is not a finite number")
    return number


def _nearest(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(names)}"


def to_override(key: str, value: Any) -> str:
    """Write a sampled value the way Hydra reads it back."""
    if value is None:
        return f"{key}=null"
    if isinstance(value, bool):
        return f"{key}={str(value).lower()}"
    if isinstance(value, str) and (
        not re.fullmatch(r"[A-Za-z_][\w.-]*", value) or value.lower() in RESERVED
    ):
        return f"{key}={QuotedString(value, Quote.single).with_quotes()}"
    return f"{key}={value}"


def examples(distributions: Mapping[str, BaseDistribution]) -> list[dict[str, Any]]:
    """Return parameter sets that together name every choice and both ends of every range."""
    ends: dict[str, list[Any]] = {}
    for key, dist in distributions.items():
        if isinstance(dist, CategoricalDistribution):
            ends[key] = list(dist.choices)
        elif isinstance(dist, (FloatDistribution, IntDistribution)):
            ends[key] = [dist.low, dist.high]
    longest = max((len(values) for values in ends.values()), default=1)
    return [
        {key: values[min(i, len(values) - 1)] for key, values in ends.items()}
        for i in range(longest)
    ]


def defaults_within(
    distributions: Mapping[str, BaseDistribution], config: DictConfig
) -> dict[str, Any]:
    """Return the config's own values of the searched keys, moved to the nearest end of a range.

    Keys whose value is not among the choices are left to the sampler.
    """
    found: dict[str, Any] = {}
    for key, dist in distributions.items():
        value = OmegaConf.select(config, key)
        if isinstance(dist, CategoricalDistribution):
            if value in dist.choices:
                found[key] = value
        elif isinstance(dist, (FloatDistribution, IntDistribution)) and value is not None:
            found[key] = min(max(value, dist.low), dist.high)
    return found
