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
    """Say that there is no such model, and which may be meant.

    Args:
        name: as typed; hubs and papers write `timm/NAME.WEIGHTS`, and hyphens.
        known: all names that there are.
    """
    bare, _, weights = name.rpartition("/")[2].partition(".")
    bare = bare.lower().replace("-", "_")
    if bare in known:
        near = [f"{bare}.{weights}" if weights else bare]
    else:
        whole = [other for other in known if other.startswith(bare)]
        whole = whole or [other for other in known if bare in other]
        near = nearest(bare, whole or known, most=3, alike=0 if whole else 0.6)
        more = len(whole) - len(near)
        if more > 0:
            near[-1] = f"{near[-1]} or another of {more} like them"
        else:
            others = nearest(bare, [other for other in known if other not in near], most=3)
            near += others[: 3 - len(near)]
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
