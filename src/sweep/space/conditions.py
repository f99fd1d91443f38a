"""Conditions of search-space entries.

    layer_scale:
      ...
      when: {model: [convnext_tiny, convnext_base]}

An entry is searched where every key of its `when` has one of the values beside it. A key is a
config group (`model`: the choice that was made) or a config key (`model.name`). Texts may be
patterns as in a shell (`"*convnext*"`). Where the key itself is searched, an entry applies to
the trials whose value fits.
"""

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from src.sweep.errors import SweepError
from src.sweep.nearest import did_you_mean, dotted_keys

# Names of a group's options.
Options = Callable[[str], Sequence[str]]


def holds(when: Mapping[str, Any], config: DictConfig) -> bool:
    """Tell whether the config of a job meets a condition."""
    return all(_fits(value_of(config, key), wanted) for key, wanted in when.items())


def value_of(config: DictConfig, key: str) -> Any:
    """Return the choice of a group, or the value of a key."""
    groups = choices(config)
    return groups[key] if key in groups else OmegaConf.select(config, key)


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
        SweepError: it is no mapping, or names a key or a group's option that is not there.
    """
    if not isinstance(when, Mapping):
        raise SweepError(f"{where}.when: {when!r} is no condition; write for instance {{model: x}}")
    for key, wanted in when.items():
        if key not in choices(config):
            known = dotted_keys(config)
            if key not in known:
                hint = did_you_mean(key, [name for name in known if not name.startswith("hydra")])
                raise SweepError(f"{where}.when: no config group or key is called '{key}'{hint}")
            continue
        there = options(key)
        for value in _listed(wanted):
            if value is not None and not any(_fits(option, value) for option in there):
                hint = did_you_mean(str(value), there)
                raise SweepError(f"{where}.when: group '{key}' has no option '{value}'{hint}")


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, (list, tuple)):
        return any(_fits(value, one) for one in wanted)
    if isinstance(wanted, str) and isinstance(value, str):
        return fnmatch.fnmatchcase(value, wanted)
    return bool(value == wanted)


def _listed(wanted: Any) -> Sequence[Any]:
    return wanted if isinstance(wanted, (list, tuple)) else [wanted]
