"""The members of an ensemble, each trained in full once: a run's folder in the ensemble's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from doctune.errors import UserError, first_line
from src.before.checks import check_one_card, check_run
from src.results.stored_study import StoredStudy
from src.trial.run import train

# What a run has left when it has ended.
NEEDED = ("config.yaml", "best.ckpt", "classes.json", "metrics.json")


def member_config(stored: StoredStudy, number: int, changes: Mapping[str, Any]) -> DictConfig:
    """Return the config that trains the parameters of a trial in full.

    Args:
        stored: the study.
        number: of the trial.
        changes: a tree of keys of the training config, the same for all members.

    Raises:
        UserError: a key is unknown or a value wrong, or the config cannot be trained here.
    """
    config = stored.trial_config(number)
    try:
        changed: Any = OmegaConf.merge(config, OmegaConf.create(dict(changes)))
    except OmegaConfBaseException as error:
        reason = first_line(error)
        raise UserError(f"train={dict(changes)}: no such training config ({reason})") from error
    # An ensemble without its members' weights is none.
    changed.callbacks.checkpoint = True
    check_one_card(changed, "an ensemble gives every member")
    check_run(changed)
    return changed  # type: ignore[no-any-return]


def train_member(config: DictConfig, folder: Path, title: str, console: Console) -> None:
    """Train a member, unless it is there already with the same config."""
    if is_trained(config, folder):
        console.print(f"{title}: trained already, {folder}", highlight=False, soft_wrap=True)
        return
    for name in NEEDED:
        (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    console.print(f"{title}:", style="bold", highlight=False)
    train(config, folder)


def is_trained(config: DictConfig, folder: Path) -> bool:
    """Tell whether a run with this config has ended in the folder."""
    if not all((folder / name).is_file() for name in NEEDED):
        return False
    there = (folder / "config.yaml").read_text(encoding="utf-8")
    return there == OmegaConf.to_yaml(config, resolve=True)
