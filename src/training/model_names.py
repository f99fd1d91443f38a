"""Names of timm's models, known without importing timm, and torch with it, which takes seconds."""

import functools
import importlib.util
import re
import sys
from collections.abc import Collection
from pathlib import Path

from doctune.errors import UserError
from doctune.words import nearest

# How timm's files add a model to its registry.
REGISTERED = re.compile(r"^@register_model\s+def (\w+)\(", re.MULTILINE)


def check_known(name: str) -> None:
    """Refuse a model whose name timm's files do not hold, with the nearest that they do.

    What they hold otherwise, older names among it, is left to timm, and so is every name where
    timm is there already: a notebook may have added models of its own.

    Raises:
        UserError: there is no such model.
    """
    if "timm" in sys.modules or not registered():
        return
    if re.search(rf"\b{re.escape(name.partition('.')[0])}\b", _sources()):
        return
    raise no_such_model(name, registered())


def no_such_model(name: str, known: Collection[str]) -> UserError:
    """Say that there is no such model, and which may be meant."""
    # As hubs and papers write it.
    bare = name.rpartition("/")[2].partition(".")[0].lower().replace("-", "_")
    near = nearest(bare, known, most=3)
    hint = f"did you mean {', '.join(near)}?" if near else "see timm.list_models()"
    return UserError(f"model.name={name}: timm has no such model; {hint}")


@functools.cache
def registered() -> frozenset[str]:
    """Return the names that timm's files register; none where the files are not to be read."""
    return frozenset(REGISTERED.findall(_sources()))


@functools.cache
def _sources() -> str:
    found = importlib.util.find_spec("timm")
    folders = (found.submodule_search_locations if found is not None else None) or []
    files = [path for folder in folders for path in sorted(Path(folder, "models").glob("*.py"))]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)
