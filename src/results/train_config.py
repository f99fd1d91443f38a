"""The config that trains with the best parameters, as it is or with overrides.

It is a Hydra primary config: `conf/train.yaml` with the groups that the search was started
with, and the best parameters on top. It holds from any later checkout with the same keys.
"""

import datetime
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial

from src.results.words import describe_score

# Parts of a search that mean nothing to a single training run.
SEARCH_KEYS = ("optuna", "pruning", "quick_validation", "search_space", "hparams_search", "hydra")


def write_train_config(
    trial: FrozenTrial, study_name: str, folder: Path, config: DictConfig
) -> Path:
    """Write `train_optimized_<date>.yaml`.

    Args:
        trial: the trial to train with.
        study_name: for the comment.
        folder: where to write.
        config: the whole config of the search, with its `hydra` node.

    Returns:
        The file.
    """
    path = folder / f"train_optimized_{datetime.date.today():%Y-%m-%d}.yaml"
    groups, values = _started_with(config)
    for key, value in trial.params.items():
        (groups if key in config.hydra.runtime.choices else values)[key.lstrip("+")] = value
    defaults: list[Any] = ["train", *({f"override {k}": v} for k, v in groups.items()), "_self_"]
    body = OmegaConf.create({})
    for key, value in values.items():
        OmegaConf.update(body, key, value, force_add=True)
    text = (
        f"# The best trial of study {study_name}: trial {trial.number}, {describe_score(trial)}.\n"
        f"# {train_command(path)}\n"
        f"# Any key can be overridden behind that command, for instance trainer.max_epochs=30.\n"
        f"{OmegaConf.to_yaml(OmegaConf.create({'defaults': defaults}))}\n"
        f"# Found by the search, or fixed on its command line.\n{OmegaConf.to_yaml(body)}"
    )
    path.write_text(text, encoding="utf-8")
    return path


def train_command(path: Path) -> str:
    """Return the command that trains with a file of `write_train_config`."""
    folder = Path(path).parent
    if folder.is_absolute() and folder.is_relative_to(Path.cwd()):
        folder = folder.relative_to(Path.cwd())
    return f"python -m src.train --config-dir={folder} --config-name={path.stem}"


def _started_with(config: DictConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the groups and the values that the search's command line has fixed."""
    groups: dict[str, Any] = {}
    values: dict[str, Any] = {}
    choices = config.hydra.runtime.choices
    overrides = OmegaConf.to_container(config.hydra.overrides.task)
    for override in OverridesParser.create().parse_overrides(list(overrides)):  # type: ignore[arg-type]
        key = override.key_or_group
        if override.is_delete() or override.is_sweep_override():
            continue
        if key.split(".")[0].split("/")[0] in SEARCH_KEYS:
            continue
        if key in choices:
            groups[key] = override.value()
        else:
            values[key] = OmegaConf.select(config, key)
    return groups, values
