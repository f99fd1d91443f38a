"""`hparams_search=focus optuna.from_study=NAME` goes on from the command of that study.

What the earlier search had been given on top of its preset (model, data, augmentation, single
keys) is put in front of what the user types now, as ranges around its best mean little
elsewhere. What is about the search itself is not.
"""

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from src.before.places import CONF

PRESET = "focus"
# Groups that a preset may choose as well.
GROUPS = (
    *("model", "data", "augment", "optimizer", "scheduler", "trainer", "callbacks", "logger"),
)
# About the earlier search alone, but for `SHARED`.
OF_THE_SEARCH = (
    *("hparams_search", "search_space", "optuna", "pruning", "quick_validation", "focus"),
    *("paths", "hydra", "gpu"),
)
SHARED = (
    *("optuna.objectives", "optuna.choose_by", "optuna.choose", "optuna.tolerance"),
    "quick_validation.batch_size_override",
    *("quick_validation.wear", "quick_validation.wear_strength", "quick_validation.wear_draws"),
)


def in_full(words: Sequence[str]) -> list[str]:
    """Return the command line with what the earlier study's had, where it is to be followed."""
    try:
        flags = flags_and_overrides(words)
    except ValueError:
        # Told by the door.
        return list(words)
    texts = list(flags.overrides)
    if f"hparams_search={PRESET}" not in texts:
        return list(words)
    try:
        given = OverridesParser.create().parse_overrides(texts)
        cfg = _composed(flags, [one for one in given if not one.is_sweep_override()])
        found = _attributes(cfg)
    except (HydraException, OmegaConfBaseException):
        # Told by Hydra or by the sweeper, which meet the same mistake again.
        return list(words)
    taken = taken_over(found, given, cfg.hydra.runtime.choices)
    if taken:
        print(f"as in {cfg.optuna.from_study}: {' '.join(taken)}", file=sys.stderr)
    # In front of the overrides, which are the later ones and win; Hydra takes flags anywhere.
    return [*taken, *words]


def flags_and_overrides(words: Sequence[str]) -> Namespace:
    """Read a command line as Hydra does, where a flag's value may be a word of its own.

    Returns:
        Hydra's flags by their names, and `overrides`.

    Raises:
        ValueError: a flag is wrong.
    """

    def refuse(message: str) -> NoReturn:
        raise ValueError(message)

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    return parser.parse_known_intermixed_args(list(words))[0]


def taken_over(
    found: Mapping[str, Any], given: Sequence[Override], chosen: Mapping[str, Any]
) -> list[str]:
    """Return the overrides that a search takes over from an earlier one.

    Args:
        found: the earlier study's attributes `overrides` and `choices`.
        given: on the command line now; a group that is there leaves its keys out as well.
        chosen: options of the groups now.
    """
    mine = {_key(override) for override in given}
    taken = []
    theirs = found.get("choices", {})
    before = OverridesParser.create().parse_overrides(list(found.get("overrides", [])))
    explicit = {_key(override) for override in before if not override.is_sweep_override()}
    for group in GROUPS:
        if group not in mine | explicit and theirs.get(group) not in (None, chosen.get(group)):
            taken.append(f"{group}={theirs[group]}")
    for override in before:
        key = _key(override)
        first = key.split(".")[0].split("/")[0]
        if override.is_sweep_override() or key in mine or first in mine:
            continue
        if first not in OF_THE_SEARCH or key in SHARED:
            taken.append(str(override.input_line))
    return taken


def _composed(flags: Namespace, given: Sequence[Override]) -> DictConfig:
    """Compose the config that Hydra will, from the same folders."""
    more = []
    if flags.config_dir:
        more = [f"hydra.searchpath=['file://{Path(flags.config_dir).absolute()}']"]
    with initialize_config_dir(CONF):
        texts = [str(one.input_line) for one in given]
        return compose(flags.config_name or "train", [*more, *texts], return_hydra_config=True)


def _attributes(cfg: DictConfig) -> Mapping[str, Any]:
    # Imported here, as Optuna comes along.
    from doctune.study.location import counted_from
    from doctune.study.study import load_study

    if cfg.optuna.from_study is None:
        return {}
    url = counted_from(Path.cwd(), cfg.optuna.storage)
    return load_study(url, cfg.optuna.from_study).user_attrs


def _key(override: Override) -> str:
    return str(override.key_or_group).lstrip("+~")
