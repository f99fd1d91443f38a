"""Names of timm's models, known without importing timm, and torch with it, which takes seconds."""

import functools
import importlib.util
import re
import sys
from collections.abc import Collection
from pathlib import Path

from doctune.errors import UserError
from doctune.words import nearest
from src.training.names_elsewhere import as_timm_writes

# How timm's files add a model to its registry.
REGISTERED = re.compile(r"^@register_model\s+def (\w+)\(", re.MULTILINE)
# How many models are named that may be meant, and how alike a misspelt name has to be.
MOST, ALIKE = 3, 0.7


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
    """Say that there is no such model, and which may be meant; arguments as for `meant_by`."""
    found = meant_by(name, known)
    near, more = found[:MOST], len(found) - MOST
    if more > 0:
        near[-1] = f"{near[-1]} or another of {more} like them"
    hint = f"did you mean {', '.join(near)}?" if near else "see timm.list_models()"
    return UserError(f"model.name={name}: timm has no such model; {hint}")


def meant_by(name: str, known: Collection[str]) -> list[str]:
    """Return the models that may be meant by a name that timm has not, the likeliest first.

    Args:
        name: as typed; hubs and papers write `timm/NAME.WEIGHTS`, and hyphens.
        known: all names that there are.
    """
    # A dot may stand in a number as well: mobilenet_v2_1.0_224.
    model, *weights = re.split(r"\.(?=[a-z])", name, maxsplit=1)
    bare = re.split(r"[/:]", model)[-1].lower().replace("-", "_")
    if bare in known:
        return [".".join([bare, *weights])]
    return as_timm_writes(model, known) or _begun_or_nearest(bare, known)


def _begun_or_nearest(bare: str, known: Collection[str]) -> list[str]:
    """Return the names that begin so or hold it; the nearest if they are few."""
    found = [other for other in known if bare and other.startswith(bare)]
    found = found or [other for other in known if bare and bare in other]
    near = nearest(bare, found, most=len(found), alike=0) if found else []
    if len(near) < MOST:
        others = nearest(bare, [other for other in known if other not in near], MOST, ALIKE)
        near += others[: MOST - len(near)]
    return near


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
