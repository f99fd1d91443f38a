"""The default name of a study: what is searched how, on which model and data.

Importing this file registers the resolvers `${study_name:}`, `${sweep_folder:}` and
`${started_at:}`. Their values are kept with the config of the search, so that a job whose model is
another one still finds the study.
"""

import datetime
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from doctune import SWEEPER
from doctune.commands import task_overrides

PARTS = ("hparams_search", "model", "data")
# More names than these would make a folder that nobody reads.
MOST_NAMED = 3


def study_name() -> str:
    """Return for instance `fast-tiny-documents`, or `fast-swin_base+tiny-documents`."""
    hydra = HydraConfig.get()
    searched = _searched_choices(hydra)
    parts = []
    for group in PARTS:
        # Only the preset can be none.
        chosen = hydra.runtime.choices[group] or "search"
        names = searched.get(group) or [str(chosen)]
        several = "+".join(sorted(set(names)))
        # A choice may lie in a folder of its group.
        several = several.replace("/", "_")
        parts.append(several if len(names) <= MOST_NAMED else f"{len(names)}_{group}s")
    return "-".join(parts)


def sweep_folder() -> str:
    """Return the name of a sweep's folder: the study's, a new one where there is no study of ours.

    Other sweepers begin anew at every start, and would overwrite what is there.
    """
    hydra = HydraConfig.get()
    if (hydra.sweeper or {}).get("_target_") == SWEEPER:
        return str(hydra.sweeper.study_name)
    return started_at()


def started_at() -> str:
    """Return the time as a folder's name, exact enough for commands that start together."""
    return datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S.%f")[:-3]


def _searched_choices(hydra: Any) -> dict[str, list[str]]:
    """Return config group -> options that are searched, by entry or on the command line."""
    found = {}
    for entry in ((hydra.sweeper or {}).get("search_space") or {}).values():
        if entry is not None and entry.get("key") in PARTS and entry.get("choices"):
            found[str(entry.key)] = [str(choice) for choice in entry.choices]
    for override in OverridesParser.create().parse_overrides(task_overrides(hydra)):
        if override.key_or_group in PARTS:
            found.pop(override.key_or_group, None)
            if override.is_choice_sweep():
                found[override.key_or_group] = [str(c) for c in override.sweep_string_iterator()]
    return found


for resolver in (study_name, sweep_folder, started_at):
    OmegaConf.register_resolver(resolver.__name__, resolver, use_cache=True, replace=True)
