"""The config that trains with the best parameters, as it is or with overrides.

It is a Hydra primary config that holds every value itself, so that it means the same from any
later checkout with the same keys, whatever the defaults of `conf/` have become. The groups are
listed behind its own values: `model=resnet50` on the command line replaces what stands there.
"""

import dataclasses
import datetime
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial

from doctune.commands import command, task_overrides
from doctune.files import write_text
from doctune.words import key_of, show
from src.before.config import ExperimentConfig
from src.data.wear_presets import written_out
from src.results.best_trials import describe_score
from src.results.stored_study import StoredStudy

# Parts of a search that mean nothing to a single training run.
SEARCH_KEYS = (
    *("optuna", "pruning", "quick_validation", "search_space", "focus", "hparams_search"),
    "hydra",
)
# The profile of the machine that trains, which may be another one than has searched.
MACHINE_GROUP = "gpu"
HYDRA = """\
hydra:
  run:
    dir: ${paths.output_dir}/${now:%Y-%m-%d_%H-%M-%S}
"""


def write_train_config(stored: StoredStudy, trial: FrozenTrial) -> Path:
    """Write `train_optimized_<date>.yaml` into the study's folder.

    Args:
        stored: the study.
        trial: the trial to train with.

    Raises:
        UserError: the trial left no config.
    """
    path = stored.folder / f"train_optimized_{datetime.date.today():%Y-%m-%d}.yaml"
    job = stored.hydra_config(trial.number)
    body = _body(stored.trial_config(trial.number))
    notes = _notes(trial, job)
    machine = _machine_values(job)
    if machine:
        body[MACHINE_GROUP] = machine
    parts = [
        f"# What study {stored.study.study_name} found: trial {trial.number}, "
        f"{describe_score(trial)}.\n"
        f"#   {train_command(path)}\n"
        "# Every value is written down, so it trains the same from any later version that has\n"
        "# these keys. Behind the command any key can be overridden (trainer.max_epochs=30), and\n"
        "# any group: model=resnet50 replaces what stands under model.\n",
        _defaults(job),
        HYDRA,
        *(_section(key, value, notes) for key, value in body.items()),
    ]
    write_text(path, "\n".join(parts))
    return path


def train_command(path: Path) -> str:
    """Return the command that trains with a file of `write_train_config`."""
    folder = Path(path).parent
    if folder.is_absolute() and folder.is_relative_to(Path.cwd()):
        folder = folder.relative_to(Path.cwd())
    return command("src.train", f"--config-dir={folder}", f"--config-name={path.stem}")


def _body(config: DictConfig) -> dict[str, Any]:
    """Return all values but the search's and the machine's; what the machine decides stays open."""
    raw: Any = OmegaConf.to_container(config, resolve=False)
    body: dict[str, Any] = {}
    for key in raw:
        if key in (*SEARCH_KEYS, MACHINE_GROUP):
            continue
        node = config[key]
        solid = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
        body[key] = solid if key == "data" else _keep_open(raw[key], solid)
    wear = written_out(config)
    if wear:
        # Of the quick validation the one thing that decides in a full training, too.
        body["quick_validation"] = wear
    return body


def _keep_open(raw: Any, solid: Any) -> Any:
    """Put interpolations into the profile back, such as the precision of a card."""
    if isinstance(raw, dict):
        return {key: _keep_open(value, solid[key]) for key, value in raw.items()}
    return raw if str(raw).startswith(f"${{{MACHINE_GROUP}.") else solid


def _machine_values(job: DictConfig) -> dict[str, Any]:
    """Return the keys of the profile that the command line has set, `gpu.x=...`."""
    found: dict[str, Any] = {}
    for override in OverridesParser.create().parse_overrides(task_overrides(job)):
        group, _, key = override.key_or_group.partition(".")
        if group == MACHINE_GROUP and key and not override.is_delete():
            found[key] = override.value()
    return found


def _defaults(job: DictConfig) -> str:
    chosen = job.runtime.choices
    groups = [key for key in chosen if "/" not in key and key not in (*SEARCH_KEYS, MACHINE_GROUP)]
    entries = [
        "experiment_schema",
        f"{MACHINE_GROUP}: {chosen[MACHINE_GROUP]}",
        "_self_",
        *(f"{group}: null" for group in sorted(groups)),
        "override hydra/job_logging: file",
        "override hydra/hydra_logging: file",
    ]
    return "\n".join(["defaults:", *(f"  - {entry}" for entry in entries)]) + "\n"


def _notes(trial: FrozenTrial, job: DictConfig) -> dict[str, str]:
    """Return a comment for each key that was searched or fixed on the command line."""
    notes = {}
    for override in OverridesParser.create().parse_overrides(task_overrides(job)):
        notes[override.key_or_group.lstrip("+")] = "given on the command line of the search"
    for name, distribution in trial.distributions.items():
        notes[key_of(name).lstrip("+")] = f"searched: {_range(distribution)}"
    return notes


def _range(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return ", ".join(str(choice) for choice in distribution.choices)
    low, high = (getattr(distribution, side) for side in ("low", "high"))
    scale = ", log scale" if getattr(distribution, "log", False) else ""
    return f"{show(low)} to {show(high)}{scale}"


def _section(key: str, value: Any, notes: Mapping[str, str]) -> str:
    """Write one top-level key, its schema's docstring above and notes behind the lines."""
    lines = OmegaConf.to_yaml(OmegaConf.create({key: value})).splitlines()
    above = _docstring(key)
    return "\n".join([*above, *_annotated(lines, notes)]) + "\n"


def _annotated(lines: list[str], notes: Mapping[str, str]) -> list[str]:
    path: list[str] = []
    found = []
    for line in lines:
        match = re.match(r"( *)([\w.-]+):", line)
        if match:
            path = [*path[: len(match[1]) // 2], match[2]]
            note = notes.get(".".join(path))
            line = f"{line}  # {note}" if note else line
        found.append(line)
    return found


def _docstring(key: str) -> list[str]:
    kinds = {f.name: f.type for f in dataclasses.fields(ExperimentConfig)}
    kind = kinds.get(key)
    if not dataclasses.is_dataclass(kind):
        return []
    return [f"# {(kind.__doc__ or '').strip().splitlines()[0]}"]
