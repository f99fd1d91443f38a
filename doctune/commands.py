"""Commands as people can paste them: quoted for Hydra's grammar first, and then for the shell.

Light, as the doors import it before anything else.
"""

import re
import shlex
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import OmegaConf

# Texts that Hydra's grammar reads as something else.
RESERVED = ("null", "true", "false", "nan", "inf")
# A text that Hydra reads as itself, without quotes: a name, a path, a URL.
PLAIN = re.compile(r"(?:[A-Za-z_/]|\.{1,2}/)[\w/.:@+-]*", re.ASCII)
# Inside double quotes a shell would still read these.
NOT_IN_DOUBLE_QUOTES = re.compile(r'["$`\\!]')


def override(key: str, value: Any) -> str:
    """Write `key=value` the way Hydra reads it back, whatever the value."""
    if value is None:
        return f"{key}=null"
    if isinstance(value, bool):
        return f"{key}={str(value).lower()}"
    if isinstance(value, str) and (not PLAIN.fullmatch(value) or value.lower() in RESERVED):
        return f"{key}={QuotedString(value, Quote.single).with_quotes()}"
    return f"{key}={value}"


def shell_word(word: str) -> str:
    """Quote a word for the shell where it needs that, as readably as that can be done."""
    quoted = shlex.quote(word)
    if quoted != word and "'" in word and not NOT_IN_DOUBLE_QUOTES.search(word):
        return f'"{word}"'
    return quoted


def command(module: str, *words: str, **keys: Any) -> str:
    """Return `python -m MODULE WORDS KEY=VALUE` as one would type it.

    Args:
        module: the door, `src.train` for instance.
        words: flags and overrides as Hydra reads them.
        keys: more overrides, by their values; `__` in a name stands for a dot.
    """
    more = [override(key.replace("__", "."), value) for key, value in keys.items()]
    return " ".join(["python -m", module, *map(shell_word, [*words, *more])])


def task_overrides(hydra: Any) -> list[str]:
    """Return the overrides of the command line as they were typed.

    Reading them one by one would resolve `key=${other}`, and fail where there is no such key.

    Args:
        hydra: the `hydra` node of the config.
    """
    found: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)
    return [str(word) for word in found]
