"""The nearest valid name, for messages about a misspelt one."""

import difflib
from collections.abc import Iterable

from omegaconf import DictConfig


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean X?`, or what names are known where none is near.

    A name without dots is compared with the last parts of dotted names as well.
    """
    known = list(names)
    close = difflib.get_close_matches(name, known, n=1)
    if not close:
        by_last_part = {other.rsplit(".", 1)[-1]: other for other in reversed(known)}
        last = name.rsplit(".", 1)[-1]
        close = [by_last_part[part] for part in difflib.get_close_matches(last, by_last_part, n=1)]
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known are {', '.join(known)}" if len(known) <= MOST_LISTED else ""


# Longer lists say nothing to a reader.
MOST_LISTED = 15


def dotted_keys(config: DictConfig, prefix: str = "") -> list[str]:
    """Return every key of a config and its sections, `optimizer` as well as `optimizer.lr`."""
    found = []
    for key in map(str, config):
        found.append(prefix + key)
        node = config._get_node(key)
        if isinstance(node, DictConfig) and not node._is_none() and not node._is_missing():
            found += dotted_keys(node, f"{prefix}{key}.")
    return found
