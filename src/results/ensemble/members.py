"""The trials that an ensemble may be made of: the best that were seen to the end.

The members, each trained in full once: a run's folder in the ensemble's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from doctune.errors import UserError
from src.before.checks import check_one_card, check_run
from src.results.ensemble.selection import Floats, Labels
from src.results.stored_study import StoredStudy
from src.results.summary import rank
from src.trial.out_of_fold import OutOfFold
from src.trial.run import train


@dataclass(frozen=True)
class Candidates:
    """Trials, the best first, with what they say of the same images.

    Args:
        trials: complete ones, no two with the same parameters.
        probabilities: [N, C] of each, out of fold.
        labels: int64 [N].
        left_out: trials that cannot take part, each with its reason in words.
    """

    trials: list[FrozenTrial]
    probabilities: list[Floats]
    labels: Labels
    left_out: list[str]


def find_candidates(stored: StoredStudy, most: int) -> Candidates:
    """Take the best trials of a study whose out-of-fold predictions are over the same images.

    Args:
        stored: the study.
        most: how many of them at most.

    Raises:
        UserError: no trial ran to the end, or none has left out-of-fold predictions.
    """
    trials: list[FrozenTrial] = []
    probabilities: list[Floats] = []
    left_out: list[str] = []
    reference: OutOfFold | None = None
    for trial in _best_first(stored):
        if len(trials) == most:
            break
        found = _load(stored, trial)
        if found is None:
            left_out.append(f"trial {trial.number} has left no out-of-fold predictions")
            continue
        reference = reference or found
        if not _same_images(reference, found):
            left_out.append(
                f"trial {trial.number}: its out-of-fold predictions are over other images "
                f"({len(found.rows)}) than those of trial {trials[0].number} "
                f"({len(reference.rows)})"
            )
            continue
        trials.append(trial)
        probabilities.append(found.probabilities)
    if reference is None:
        raise UserError(
            f"study={stored.study.study_name}: none of its trials has left out-of-fold "
            f"predictions in {stored.folder}; run this where the search ran, or search again"
        )
    return Candidates(trials, probabilities, reference.labels, left_out)


def _best_first(stored: StoredStudy) -> list[FrozenTrial]:
    complete = stored.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        raise UserError(
            f"study={stored.study.study_name}: no trial ran to the end yet, so there is nothing "
            "to combine"
        )
    found: list[FrozenTrial] = []
    for trial in rank(stored.study, complete):
        if all(trial.params != other.params for other in found):
            found.append(trial)
    return found


def _load(stored: StoredStudy, trial: FrozenTrial) -> OutOfFold | None:
    """Read a trial's predictions in the order of the images; None where there are none."""
    try:
        found = OutOfFold.load(stored.trial_folder(trial.number))
    except (FileNotFoundError, UserError):
        return None
    order = np.argsort(found.rows, kind="stable")
    return OutOfFold(
        found.rows[order],
        found.labels[order],
        found.folds[order],
        found.scores[order],
        found.classes,
    )


def _same_images(one: OutOfFold, other: OutOfFold) -> bool:
    return (
        one.classes == other.classes
        and np.array_equal(one.rows, other.rows)
        and np.array_equal(one.labels, other.labels)
    )


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
        reason = str(error).splitlines()[0]
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
