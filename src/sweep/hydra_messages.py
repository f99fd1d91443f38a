"""Hydra's messages about command lines and configs, in a line or two.

Hydra's own say where its code has met the mistake and list its search path, up to twenty lines.
"""

import re
from collections.abc import Iterable

from hydra.errors import (
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import Container, DictConfig
from omegaconf.errors import OmegaConfBaseException

from src.sweep.nearest import did_you_mean, dotted_keys

# What OmegaConf calls the types that people write.
TYPES = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}
# Options that are there for other files.
NOT_TO_CHOOSE = ("base",)


def in_short(error: HydraException) -> str:
    """Return what a mistake is and what to do, the key first."""
    cause = error.__cause__
    if isinstance(error, MissingConfigException):
        return _missing(error)
    if isinstance(error, OverrideParseException):
        return _unreadable(error)
    text = str(error)
    unknown = re.match(r"Could not override '([^']+)'", text)
    if unknown and isinstance(cause, OmegaConfBaseException):
        return _unknown_key(unknown[1], text, cause)
    wrong = re.match(r"Error merging override (.+)", text)
    if wrong and isinstance(cause, OmegaConfBaseException):
        return f"{wrong[1]}: {_reason(cause)}"
    sweep = re.match(r"Sweep parameters '(.+)' requires --multirun", text)
    if sweep:
        return f"{sweep[1]}: several values need -m, as in 'python -m src.train -m ...'"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if isinstance(cause, OmegaConfBaseException):
        lines.append(_reason(cause))
    return "\n".join(lines[:2])


def unknown_flag(word: str, flags: Iterable[str]) -> str:
    """Return what to write instead of a flag that there is not."""
    flag, equals, _ = word.partition("=")
    hint = did_you_mean(flag, flags)
    if not hint.endswith("?"):
        key = word.lstrip("-") if equals else "key=value"
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


def _missing(error: MissingConfigException) -> str:
    name = error.missing_cfg_file or ""
    group, _, option = name.rpartition("/")
    if not group or error.options is None:
        return f"--config-name={name}: there is no such config"
    names = sorted(set(error.options) - set(NOT_TO_CHOOSE))
    hint = did_you_mean(option, names)
    known = f" There are {', '.join(names)}" if hint.endswith("?") else ""
    return f"{group}={option}: there is no such choice{hint}{known}"


def _unreadable(error: OverrideParseException) -> str:
    word = error.override
    if "=" not in word:
        return f"'{word}' is no key=value; 'python -m src.train --help' shows how to write them"
    reason = str(error).splitlines()[1:2]
    told = f" ({reason[0].strip()})" if reason else ""
    return f"{word}: cannot be read{told}; put quotes around a value with spaces, commas or ="


def _unknown_key(key: str, text: str, cause: OmegaConfBaseException) -> str:
    parent = cause.parent_node
    missing = str(cause.full_key or key)
    if "is not in struct" in str(cause) and not _near(cause):
        command = re.search(r"To append to your config use (\S.*)", text)
        return f"{missing}: there is no such key; to add it, write {command[1] if command else '+'}"
    root = parent._get_root() if isinstance(parent, Container) else None
    names: Iterable[str] = dotted_keys(root) if isinstance(root, DictConfig) else ()
    known = [name for name in names if not name.startswith("hydra")]
    # Of equal names those come last that follow from the card.
    known.sort(key=lambda name: name.startswith("gpu"))
    near = _near(cause)
    if near:
        above, dot, _ = missing.rpartition(".")
        return f"{missing}: there is no such key; did you mean {above}{dot}{near}?"
    same = [name for name in known if name.rpartition(".")[2] == missing]
    hint = f"; did you mean {same[0]}?" if same else did_you_mean(missing, known)
    return f"{missing}: there is no such key{hint or '; --help lists them all'}"


def _near(cause: OmegaConfBaseException) -> str | None:
    found = re.search(r"Did you mean: '([^']+)'", str(cause))
    return found[1] if found else None


def _reason(cause: OmegaConfBaseException) -> str:
    line = str(cause).splitlines()[0]
    wrong = re.match(r"Value '(.*)' of type '.*' could not be converted to (\w+)", line)
    if wrong and wrong[2] in TYPES:
        return f"'{wrong[1]}' is not {TYPES[wrong[2]]}"
    wrong = re.match(r"Value '(.*)' is not a valid bool", line)
    return f"'{wrong[1]}' is not {TYPES['Boolean']}" if wrong else line
