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
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from doctune.errors import UserError
from doctune.hydra_messages import nearest_entry
from doctune.shown_keys import shown
from doctune.words import did_you_mean, dotted_keys, is_worked_out

TYPES = ("loguniform", "uniform", "int", "logint", "categorical")
FIELDS = ("type", "key", "low", "high", "step", "choices", "unless", "when")


def conditions_of(typed: DictConfig | None) -> dict[str, Any]:
    """Return the condition of every entry that has one, by the entry's name."""
    return {
        f"{shown('search_space')}.{name}": when
        for name, written in _as_written(typed).items()
        if isinstance(written, dict) and (when := _value(typed, name, written, "when")) is not None
    }


def typed_distributions(
    typed: DictConfig | None, config: DictConfig | None = None, *, at_once: bool = False
) -> dict[str, BaseDistribution]:
    """Turn typed entries into distributions, keyed by the config key that each sets.

    Args:
        typed: name -> entry.
        config: the job's config, which decides about conditions.
        at_once: leave out what may take its time, so that mistakes are told before that. What a
            function of the app works out in an `unless` does not count then, and an entry whose
            choices are worked out as well is not there.

    Raises:
        UserError: an entry is wrong; the message names it.
    """
    found: dict[str, BaseDistribution] = {}
    for name, written in _as_written(typed).items():
        if written is None:
            continue
        where = f"{shown('search_space')}.{name}"
        if not isinstance(written, dict):
            raise UserError(
                f"{where}: {written!r} is no entry; give type, key and low/high or choices"
            )
        takes_time = is_worked_out(written.get("unless"))
        if at_once and takes_time and is_worked_out(written.get("choices")):
            continue
        entry = {
            field: _value(typed, name, written, field) for field in FIELDS if field != "unless"
        }
        if not entry.get("key"):
            raise UserError(
                f"{where}.key: missing; name the config key that it sets{_meant(typed, name)}"
            )
        key, distribution = _read_entry(where, written, entry)
        if entry.get("when") is not None and not holds(entry["when"], config or DictConfig({})):
            continue
        # Last, as an app may have to make a model for its answer.
        asked = not (at_once and takes_time)
        if asked and _value(typed, name, written, "unless") not in (None, False):
            continue
        if key in found:
            raise UserError(f"{where}.key: '{key}' is set by another entry already")
        found[key] = distribution
    return found


def _as_written(typed: DictConfig | None) -> dict[str, Any]:
    """Return the entries by name, what refers to other keys as it is written."""
    found: Any = OmegaConf.to_container(typed, resolve=False) if typed else {}
    for name, written in found.items():
        if isinstance(written, str) and written != MISSING:
            # All of it may be another key's.
            other: Any = typed[name] if typed else None
            found[name] = OmegaConf.to_container(other) if OmegaConf.is_config(other) else other
    return dict(found)


def _value(typed: Any, name: str, written: Mapping[str, Any], field: str) -> Any:
    """Return a field of an entry, None where it has none; no other field is worked out for it."""
    if written.get(field) in (None, MISSING):
        return written.get(field)
    value = typed[name][field]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _meant(typed: DictConfig | None, name: str) -> str:
    """Return which entry one without a key may have meant."""
    others = {other: body for other, body in _as_written(typed).items() if other != name}
    hint = nearest_entry(name, {"search_space": others})
    return hint if hint.endswith("?") else ""


def _read_entry(
    where: str, fields: Iterable[str], entry: Mapping[str, Any]
) -> tuple[str, BaseDistribution]:
    for name in fields:
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
    try:
        return CategoricalDistribution(each_once(choices))
    except ValueError as error:
        raise UserError(f"{where}.choices: {error}") from None


def each_once(choices: Iterable[Any]) -> list[Any]:
    """Return choices, equal ones once.

    Raises:
        ValueError: two are equal to Optuna, as to Python, and not the same: 1 and true, 1 and 1.0.
    """
    found: dict[Any, Any] = {}
    for choice in choices:
        first = found.setdefault(choice, choice)
        if type(first) is not type(choice):
            one, other = (str(each).lower() for each in (first, choice))
            raise ValueError(
                f"{one} and {other} are one value to Optuna, and {other} would never run; leave "
                "one out"
            )
    return list(found)


def _numeric(where: str, kind: str, entry: Mapping[str, Any]) -> BaseDistribution:
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
