"""Hydra's messages about command lines and configs, in a line or two.

Hydra's own say where its code has met the mistake and list its search path, up to twenty lines.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hydra.errors import (
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import (
    InterpolationResolutionError,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
)

from doctune.commands import override, shell_word
from doctune.shown_keys import shown
from doctune.words import NAMES_HERE, OTHER_NAMES, did_you_mean, dotted_keys, other_name

# What OmegaConf calls the types that people write.
TYPES = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}
# How the names of keys end that are in seconds, and what people write there.
IN_SECONDS = ("timeout", "seconds", "heartbeat")
TIME = re.compile(r"(\d+(?:\.\d+)?) ?(d|days?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?)")
# A choice by a number, or by nothing.
UNUSABLE = re.compile(r"[-+]?[\d._]+(e[-+]?\d+)?|null|true|false|", re.IGNORECASE)
# What Hydra's own sweeper says, with a traceback, of an interval.
INTERVAL = "BasicSweeper does not support sweep type : INTERVAL_SWEEP"
# Options that are there for other files.
NOT_TO_CHOOSE = ("base",)


def in_short(error: HydraException, words: Sequence[str] = ()) -> str:
    """Return what a mistake is and what to do, the key first.

    Args:
        error: Hydra's.
        words: of the command line, so that what was typed can be named.
    """
    cause = error.__cause__
    if isinstance(error, MissingConfigException):
        return _missing(error, words)
    if isinstance(error, OverrideParseException):
        return _unreadable(error)
    text = str(error)
    unknown = re.match(r"Could not override '([^']+)'", text)
    if unknown and isinstance(cause, OmegaConfBaseException):
        return _unknown_key(unknown[1], text, cause)
    wrong = re.match(r"Error merging override (.+)", text)
    if wrong and "not a ListConfig" in str(cause):
        key, _, value = wrong[1].partition("=")
        return f"{wrong[1]}: is a list; write {key}=[{value}]"
    if wrong and isinstance(cause, OmegaConfBaseException):
        return f"{wrong[1]}: {_reason(cause)}"
    sweep = re.match(r"Sweep parameters '(.+)' requires --multirun", text)
    sweep = sweep or re.match(r"Ambiguous value for argument '(.+)'", text)
    if sweep:
        return f"{sweep[1]}: several values need -m; a list is written in brackets, [a,b]"
    if INTERVAL in text:
        return (
            "interval(...): a sweep over every value has no end; search for the best one with "
            "hparams_search=fast, or list some, as in key=0.1,0.2"
        )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if isinstance(cause, OmegaConfBaseException):
        lines.append(_reason(cause))
    return "\n".join(lines[:2])


def as_whole_numbers(told: str, words: Iterable[str]) -> str:
    """Return how to search whole numbers, where a message is about an interval of others.

    Args:
        told: the message.
        words: of the command line.
    """
    for word in words:
        key, _, value = word.partition("=")
        if "whole number" in told and told.startswith(f"{key}=") and "interval(" in value:
            whole = re.sub(r"(interval\([^)]*\))", r"int(\1)", value)
            return f"; write {shell_word(f'{key}={whole}')}"
    return ""


def dangling(cfg: DictConfig, unasked: Sequence[str] = (), above: str = "") -> str | None:
    """Return the first value of a config that refers to what there is not; None: there is none.

    Args:
        cfg: the whole config, or a part of it.
        unasked: resolvers that take their time, whose values are left alone.
        above: the dotted key of that part, with a dot behind it.
    """
    for key in map(str, cfg):
        if not above and key == "hydra":  # known in a job alone
            continue
        node = cfg._get_node(key)
        if OmegaConf.is_interpolation(cfg, key):
            written = str(getattr(node, "_value", str)())
            if any(f"${{{name}:" in written for name in unasked):
                continue
            try:
                cfg[key]
            except InterpolationResolutionError as error:
                return interpolation(error, f"{above}{key}={written}", cfg)
            continue
        if isinstance(node, DictConfig) and not node._is_none() and not node._is_missing():
            found = dangling(node, unasked, f"{above}{key}.")
            if found is not None:
                return found
    return None


def interpolation(
    error: InterpolationResolutionError, where: str = "", cfg: DictConfig | None = None
) -> str:
    """Return what is wrong with a value that refers to another one, the key first.

    Args:
        error: OmegaConf's.
        where: `key=value`; by default what the error says of it.
        cfg: a part of the config, where the error does not bring one along.
    """
    text = str(error)
    named = re.search(r"full_key: (\S+)", text)
    where = where or (named[1] if named else "a value")
    if "Recursive interpolation" in text:
        return f"{where}: refers to itself"
    variable = re.search(r"Environment variable '([^']+)' not found", text)
    if variable:
        return f"{where}: the environment variable {variable[1]} is not set"
    missing = re.search(r"Interpolation key '([^']+)' not found", text)
    if missing:
        parent = cfg if cfg is not None else error.parent_node
        known = _known_keys(parent._get_root() if isinstance(parent, Container) else None)
        near = other_name(missing[1], known)
        hint = f"; did you mean {near}?" if near else did_you_mean(missing[1], known)
        return f"{where}: there is no key {missing[1]}{hint}"
    line = text.splitlines()[0]
    if isinstance(error, UnsupportedInterpolationType):
        return f"{where}: there is nothing called {line.rpartition(' ')[2]} to ask for a value"
    return f"{where}: {line}"


def unknown_flag(word: str, flags: Iterable[str], keys: Sequence[str] = ()) -> str:
    """Return what to write instead of a flag that there is not.

    Args:
        word: as typed.
        flags: all that there are.
        keys: some that may have been meant, of those that have other meanings elsewhere.
    """
    flag, equals, value = word.partition("=")
    hint = did_you_mean(flag, flags)
    # `--lr 0.01` is no mistyped --run.
    bare = flag.lstrip("-").replace("-", "_")
    here = bare if bare in (*OTHER_NAMES, *keys) else NAMES_HERE.get(bare)
    if here or not hint.endswith("?"):
        key = f"{here or flag.lstrip('-')}={value or 'VALUE'}" if equals or here else "key=value"
        hint = f"; keys have no dashes, as in {key}, and --help lists them"
    return f"{word}: there is no such flag{hint}"


def refusal(error: BaseException) -> str | None:
    """Return what Hydra's execution whitelist has refused, and under which key; None: nothing."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, InstantiationException) and "cannot be authorized" in str(cause):
            key = re.search(r"^full_key: (\S+)", str(cause), re.MULTILINE)
            return f"{key[1]}: {without_key(cause)}" if key else without_key(cause)
        cause = cause.__cause__
    return None


def without_key(error: InstantiationException) -> str:
    """Return what Hydra refuses or cannot make in one line, without where it was named."""
    lines = [line for line in str(error).splitlines() if not line.startswith("full_key")]
    return " ".join(lines)[:400]


def unusable_choice(words: Iterable[str], options: Mapping[str, Sequence[str]]) -> str | None:
    """Return which word chooses a config by a number or by nothing, with what there is.

    Hydra's own error does not say which word it is about.

    Args:
        words: of the command line.
        options: group -> its choices.
    """
    for word in words:
        group, _, value = word.lstrip("+").partition("=")
        if group in options and value not in options[group] and UNUSABLE.fullmatch(value):
            return _no_such_choice(group, value, options[group])
    return None


def _missing(error: MissingConfigException, words: Sequence[str]) -> str:
    name = error.missing_cfg_file or ""
    group, _, option = name.rpartition("/")
    for word in words:
        key, _, value = word.lstrip("+").partition("=")
        if f"{key}/{value}" == name:
            group, option = key, value
    if not group or error.options is None:
        return f"--config-name={name}: there is no such config"
    return _no_such_choice(group, option, error.options)


def _no_such_choice(group: str, option: str, options: Iterable[str]) -> str:
    names = sorted(set(options) - set(NOT_TO_CHOOSE))
    hint = did_you_mean(option, names)
    known = f" There are {', '.join(names)}" if hint.endswith("?") else ""
    return f"{group}={option}: there is no such choice{hint}{known}"


def _unreadable(error: OverrideParseException) -> str:
    # Imported here, as SQLAlchemy comes along.
    from doctune.passwords import without_passwords

    word = without_passwords(error.override)
    if "=" not in word:
        return f"'{word}' is no key=value; --help shows how to write them"
    key, _, value = word.partition("=")
    if re.match(r"choice\(.*(null|true|false)", value):
        return f"{word}: choice() takes no null or true; write {key}={value[7:].rstrip(')')}"
    # Hydra would show the tokens of its grammar, a few lines of them.
    hint = "where it is a text as it stands, quote it for Hydra and for the shell"
    return f"{word}: cannot be read; {hint}: {shell_word(override(key, unquoted(value)))}"


def unquoted(value: str) -> str:
    """Return a text without the quotes around it."""
    return value[1:-1] if value[:1] in ("'", '"') and value[:1] == value[-1:] else value


def _unknown_key(key: str, text: str, cause: OmegaConfBaseException) -> str:
    parent = cause.parent_node
    missing = str(cause.full_key or key)
    root = parent._get_root() if isinstance(parent, Container) else None
    known = _known_keys(root)
    other = other_name(missing, known)
    if other:
        return f"{missing}: there is no such key; did you mean {other}?"
    if missing.startswith("search_space."):
        entries = (
            OmegaConf.to_container(root, resolve=False) if isinstance(root, DictConfig) else {}
        )
        return f"{missing}: there is no such entry{nearest_entry(missing, entries)}"
    near = re.search(r"Did you mean: '([^']+)'", str(cause))
    if near:
        above, dot, _ = missing.rpartition(".")
        return f"{missing}: there is no such key; did you mean {above}{dot}{near[1]}?"
    if "is not in struct" in str(cause):
        command = re.search(r"To append to your config use (\S.*)", text)
        return f"{missing}: there is no such key; to add it, write {command[1] if command else '+'}"
    same = [name for name in known if name.rpartition(".")[2] == missing]
    hint = f"; did you mean {same[0]}?" if same else did_you_mean(missing, known)
    return f"{missing}: there is no such key{hint or '; --help lists them all'}"


def nearest_entry(name: str, config: Any) -> str:
    """Return which entry of the search space may be meant: by its name, or by the key it sets."""
    entries = config.get("search_space") or {}
    where, last = shown("search_space"), name.rpartition(".")[2]
    for entry, body in entries.items():
        if isinstance(body, dict) and str(body.get("key")).rpartition(".")[2] == last:
            return f"; did you mean {where}.{entry}?"
    return did_you_mean(f"{where}.{last}", [f"{where}.{entry}" for entry in entries])


def _known_keys(root: Container | None) -> list[str]:
    names: Iterable[str] = dotted_keys(root) if isinstance(root, DictConfig) else ()
    known = [name for name in names if not name.startswith("hydra")]
    # Of equal names those come last that follow from the card.
    return sorted(known, key=lambda name: name.startswith("gpu"))


def _in_seconds(key: str, value: str) -> str:
    found = TIME.fullmatch(value)
    if found is None or not key.endswith(IN_SECONDS):
        return ""
    seconds = float(found[1]) * {"d": 86400, "h": 3600, "m": 60, "s": 1}[found[2][0]]
    return f"; in seconds it is {seconds:g}"


def _reason(cause: OmegaConfBaseException) -> str:
    line = str(cause).splitlines()[0]
    wrong = re.match(r"Value '(.*)' of type '.*' could not be converted to (\w+)", line)
    if wrong and wrong[2] in TYPES:
        hint = _in_seconds(str(cause.full_key), wrong[1])
        return f"'{wrong[1]}' is not {TYPES[wrong[2]]}{hint}"
    wrong = re.match(r"Value '(.*)' is not a valid bool", line)
    return f"'{wrong[1]}' is not {TYPES['Boolean']}" if wrong else line
