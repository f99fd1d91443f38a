"""Typed entries of a search space, as in `conf/search_space/`, read into Optuna's distributions.

Conditions of search-space entries.

    layer_scale:
      ...
      when: {model: [convnext_tiny, convnext_base]}

An entry is searched where every key of its `when` has one of the values beside it. A key is a
config group (`model`: the choice that was made) or a config key (`model.name`). Texts may be
patterns as in a shell (`"*convnext*"`). Where the key itself is searched, an entry applies to
the trials whose value fits.
"""

import fnmatch
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from doctune.errors import UserError
from doctune.hydra_messages import nearest_entry
from doctune.shown_keys import shown
from doctune.words import did_you_mean, dotted_keys

TYPES = ("loguniform", "uniform", "int", "logint", "categorical")
FIELDS = ("type", "key", "low", "high", "step", "choices", "unless", "when")


def conditions_of(typed: DictConfig | None) -> dict[str, Any]:
    """Return the condition of every entry that has one, by the entry's name."""
    entries: Any = OmegaConf.to_container(typed, resolve=True) if typed else {}
    return {
        f"{shown('search_space')}.{name}": entry["when"]
        for name, entry in entries.items()
        if isinstance(entry, dict) and entry.get("when") is not None
    }


def typed_distributions(
    typed: DictConfig | None, config: DictConfig | None = None
) -> dict[str, BaseDistribution]:
    """Turn typed entries into distributions, keyed by the config key that each sets.

    Args:
        typed: name -> entry.
        config: the job's config, which decides about conditions.

    Raises:
        UserError: an entry is wrong; the message names it.
    """
    found: dict[str, BaseDistribution] = {}
    entries: Any = OmegaConf.to_container(typed, resolve=True) if typed else {}
    for name, entry in entries.items():
        if entry is None:
            continue
        where = f"{shown('search_space')}.{name}"
        if isinstance(entry, dict) and not entry.get("key"):
            others = {other: body for other, body in entries.items() if other != name}
            hint = nearest_entry(name, {"search_space": others})
            hint = hint if hint.endswith("?") else ""
            raise UserError(f"{where}.key: missing; name the config key that it sets{hint}")
        key, distribution = _read_entry(where, entry)
        if entry.get("unless") not in (None, False):
            continue
        if entry.get("when") is not None and not holds(entry["when"], config or DictConfig({})):
            continue
        if key in found:
            raise UserError(f"{where}.key: '{key}' is set by another entry already")
        found[key] = distribution
    return found


def _read_entry(where: str, entry: Any) -> tuple[str, BaseDistribution]:
    if not isinstance(entry, dict):
        raise UserError(f"{where}: {entry!r} is no entry; give type, key and low/high or choices")
    for name in entry:
        if name not in FIELDS:
            raise UserError(f"{where}.{name}: unknown{did_you_mean(name, FIELDS)}")
    kind = entry.get("type")
    if kind not in TYPES:
        raise UserError(f"{where}.type: {kind!r} is unknown{did_you_mean(str(kind), TYPES)}")
    if kind == "categorical":
        return entry["key"], _categorical(where, entry.get("choices"))
    return entry["key"], _numeric(where, kind, entry)


def _categorical(where: str, choices: Any) -> CategoricalDistribution:
    if not isinstance(choices, list) or not choices:
        raise UserError(f"{where}.choices: {choices!r} is empty; list at least one value")
    for choice in choices:
        if not isinstance(choice, (str, int, float, bool, type(None))):
            raise UserError(f"{where}.choices: {choice!r} is neither a number nor a text")
    return CategoricalDistribution(list(dict.fromkeys(choices)))


def _numeric(where: str, kind: str, entry: dict[str, Any]) -> BaseDistribution:
    low, high = (_number(f"{where}.{side}", entry.get(side)) for side in ("low", "high"))
    if low >= high:
        raise UserError(f"{where}: low {low:g} is not below high {high:g}; swap or widen them")
    log = kind in ("loguniform", "logint")
    if log and low <= 0:
        raise UserError(f"{where}.low: {low:g} must be above 0 on a log scale")
    step = entry.get("step")
    if step is not None and _number(f"{where}.step", step) <= 0:
        raise UserError(f"{where}.step: {step} must be above 0")
    if step is not None and log:
        raise UserError(f"{where}.step: a log scale has no steps; leave it out")
    if kind in ("int", "logint"):
        whole = (low, high, float(step or 1))
        if any(number != int(number) for number in whole):
            raise UserError(
                f"{where}: low {low:g}, high {high:g} and step {whole[2]:g} must be whole numbers"
            )
        return IntDistribution(int(low), int(high), log=log, step=int(step or 1))
    return FloatDistribution(low, high, log=log, step=None if step is None else float(step))


def _number(where: str, value: Any) -> float:
    # YAML reads 1e-5 as a text.
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise UserError(f"{where}: {value!r} is not a number") from None
    if not math.isfinite(number) or isinstance(value, bool):
        raise UserError(f"{where}: {value!r} is not a finite number")
    return number


# Names of a group's options.
Options = Callable[[str], Sequence[str]]


def holds(when: Mapping[str, Any], config: DictConfig) -> bool:
    """Tell whether the config of a job meets a condition."""
    return all(_fits(value_of(config, key), wanted) for key, wanted in when.items())


def value_of(config: DictConfig, key: str) -> Any:
    """Return the choice of a group, or the value of a key, which may be written `+key`."""
    groups, name = choices(config), key.lstrip("+")
    return groups[name] if name in groups else OmegaConf.select(config, name)


def choices(config: DictConfig) -> Mapping[str, Any]:
    """Return group -> chosen option of a composed config."""
    found: Any = OmegaConf.select(config, "hydra.runtime.choices")
    return found or {}


def check_condition(where: str, when: Any, config: DictConfig, options: Options) -> None:
    """Refuse a condition that can never be met because of a misspelling.

    Args:
        where: names the entry in the message.
        when: as written.
        config: the config of the search.
        options: lists a group's options.

    Raises:
        UserError: it is no mapping, or names a key or a group's option that is not there.
    """
    if not isinstance(when, Mapping):
        raise UserError(f"{where}.when: {when!r} is no condition; write for instance {{model: x}}")
    for key, wanted in when.items():
        if key not in choices(config):
            known = dotted_keys(config)
            if key not in known:
                hint = did_you_mean(key, [name for name in known if not name.startswith("hydra")])
                raise UserError(f"{where}.when: no config group or key is called '{key}'{hint}")
            continue
        there = options(key)
        for value in _listed(wanted):
            if value is not None and not any(_fits(option, value) for option in there):
                hint = did_you_mean(str(value), there)
                raise UserError(f"{where}.when: group '{key}' has no option '{value}'{hint}")


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, (list, tuple)):
        return any(_fits(value, one) for one in wanted)
    if isinstance(wanted, str) and isinstance(value, str):
        return fnmatch.fnmatchcase(value, wanted)
    return bool(value == wanted)


def _listed(wanted: Any) -> Sequence[Any]:
    return wanted if isinstance(wanted, (list, tuple)) else [wanted]
