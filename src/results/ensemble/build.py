"""An ensemble of a study's best configurations, from selection to the folder that predicts.

Members are chosen by the out-of-fold predictions that the trials have left, which costs nothing;
only those that were chosen are then trained in full, once each on the whole train split. The
models of the folds are not kept by a search: they have seen few epochs of a part of the images,
and a member trained in full is better than all of them together at the price of one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from rich.console import Console

from doctune.errors import UserError
from doctune.files import write_text
from src.before.objectives import as_clean
from src.data.image_set import ImageSet
from src.data.load import load_splits
from src.data.wear import as_scored, as_tested
from src.data.wear_presets import wear_of
from src.inference.config import ENSEMBLE
from src.inference.predictor import choose_device
from src.inference.trained_model import load_run
from src.results.candidates import Candidates, find_candidates
from src.results.ensemble.config import EnsembleConfig
from src.results.ensemble.members import member_config, train_member
from src.results.ensemble.result import FOLDER, EnsembleResult
from src.results.ensemble.selection import (
    Floats,
    Labels,
    Selection,
    macro_f1,
    paired_gain,
    predict_set,
    select_greedily,
    weighted_mean,
)
from src.results.ensemble.table import print_candidates, print_result
from src.results.ensemble.tta import choose_margin, mixed
from src.results.stored_study import StoredStudy, open_study
from src.results.write import write_results
from src.training.calibration import fitted

SPLITS = ("val", "test")
CLEAN = {split: as_clean(split) for split in SPLITS}


@dataclass(frozen=True)
class Member:
    """A trained member and what it says of the two splits."""

    trial: int
    weight: float
    folder: Path
    # By split; under wear also of its pages as they are, val_clean and test_clean.
    probabilities: dict[str, Floats]
    # Of test-time augmentation.
    views: int


def build_ensemble(cfg: EnsembleConfig, console: Console) -> Path:
    """Select, train, score and write; whatever is there from an earlier call is used.

    Returns:
        The ensemble's folder.

    Raises:
        UserError: names the key, the value and what to do.
    """
    _check(cfg)
    stored = open_study(cfg)
    candidates = find_candidates(stored, cfg.candidates)
    selection = select_greedily(
        candidates.probabilities, candidates.labels, rounds=cfg.rounds, most_members=cfg.members
    )
    print_candidates(candidates, selection, console)
    folder = Path(cfg.output) if cfg.output else stored.folder / FOLDER
    configs = _train(cfg, stored, candidates, selection, folder, console)
    members, labels = _score(cfg, configs, folder, tta=False)
    tta, calibrated = None, {"plain": _calibrated(members, labels), "tta": None}
    if cfg.tta:
        averaged, _ = _score(cfg, configs, folder, tta=True)
        chosen = choose_margin(
            _mean(members, "val"),
            _mean(averaged, "val"),
            labels["val"],
            max(member.views for member in members),
        )
        members = _spend(members, averaged, chosen.margin)
        tta = chosen.as_json()
        if chosen.used:
            calibrated["tta"] = _calibrated(members, labels)
    result = _result(cfg, stored, candidates, selection, members, labels)
    result["tta"], result["calibration"] = tta, calibrated
    wear = wear_of(configs[members[0].trial][1])
    result["wear"] = None if wear is None else wear.in_words
    write_text(folder / ENSEMBLE, json.dumps(result, indent=2) + "\n")
    print_result(EnsembleResult.from_json(result, folder), console)
    # Which shows the ensemble, too.
    report = write_results(stored).report
    console.print(f"Report: {report}", highlight=False, soft_wrap=True)
    return folder


def _check(cfg: EnsembleConfig) -> None:
    for key in ("candidates", "members", "rounds", "batch_size"):
        if getattr(cfg, key) < 1:
            raise UserError(f"{key}={getattr(cfg, key)}: must be at least 1")
    choose_device(cfg.accelerator)


def _train(
    cfg: EnsembleConfig,
    stored: StoredStudy,
    candidates: Candidates,
    selection: Selection,
    folder: Path,
    console: Console,
) -> dict[int, tuple[float, DictConfig]]:
    """Train what was selected, and the best trial to compare with; the weight and config of each.

    All configs are made and checked before the first training starts.
    """
    wanted = {0: selection.weights.get(0, 0.0), **selection.weights}
    numbers = {candidates.trials[i].number: weight for i, weight in wanted.items()}
    configs = {
        number: (weight, member_config(stored, number, cfg.train))
        for number, weight in numbers.items()
    }
    for place, (number, (_, config)) in enumerate(configs.items(), 1):
        title = f"{place} of {len(configs)}, trial {number}"
        train_member(config, folder / member_name(number), title, console)
    return configs


def member_name(number: int) -> str:
    """Return the folder of a member, in the ensemble's."""
    return f"trial-{number}"


def _score(
    cfg: EnsembleConfig, configs: dict[int, tuple[float, DictConfig]], folder: Path, *, tta: bool
) -> tuple[list[Member], dict[str, Labels]]:
    device = choose_device(cfg.accelerator)
    members: list[Member] = []
    labels: dict[str, Labels] = {}
    for number, (weight, config) in configs.items():
        where = folder / member_name(number)
        model = load_run(where).to(device)
        found = {}
        for part, images in _parts(config).items():
            labels[part] = images.labels
            found[part] = predict_set(model, images, cfg.batch_size, tta)
        members.append(Member(number, weight, where, found, len(model.views)))
    return members, labels


def _parts(config: DictConfig) -> dict[str, ImageSet]:
    """Return what is scored: both splits, and under wear both as they are."""
    splits = load_splits(config.data)
    scored = {"val": as_scored(config, splits.val), "test": as_tested(config, splits.test)}
    if wear_of(config) is None:
        return scored
    return {**scored, CLEAN["val"]: splits.val, CLEAN["test"]: splits.test}


def _spend(plain: Sequence[Member], averaged: Sequence[Member], margin: float) -> list[Member]:
    """Return the members with the views of the pages that the ensemble is unsure of."""
    found = []
    for one, other in zip(plain, averaged, strict=True):
        probabilities = {
            part: mixed(
                _mean(plain, part), one.probabilities[part], other.probabilities[part], margin
            )
            for part in one.probabilities
        }
        found.append(replace(one, probabilities=probabilities))
    return found


def _calibrated(members: Sequence[Member], labels: Mapping[str, Labels]) -> dict[str, Any]:
    """Return the temperature of the mean, from the validation split, which no member has seen.

    Not from the trials' out-of-fold predictions: models of few epochs on a part of the images are
    less sure than members that were trained in full.
    """
    of_mean = {split: _mean(members, split).astype(np.float64) for split in SPLITS}
    least = np.finfo(np.float64).tiny
    logs = {split: np.log(np.maximum(mean, least)) for split, mean in of_mean.items()}
    return asdict(fitted(logs["val"], labels["val"], logs["test"], labels["test"]))


def _mean(members: Sequence[Member], split: str) -> Floats:
    weights = [member.weight for member in members]
    return weighted_mean([member.probabilities[split] for member in members], weights)


def _result(
    cfg: EnsembleConfig,
    stored: StoredStudy,
    candidates: Candidates,
    selection: Selection,
    members: list[Member],
    labels: dict[str, Labels],
) -> dict[str, Any]:
    """Return all that is known of the ensemble, as JSON."""
    means = {part: _mean(members, part) for part in labels}
    best = next(m for m in members if m.trial == candidates.trials[0].number)
    gain = paired_gain(means["test"], best.probabilities["test"], labels["test"])
    return {
        "study": stored.study.study_name,
        "members": [
            {"run": member.folder.name, "trial": member.trial, "weight": member.weight}
            for member in members
            if member.weight > 0
        ],
        "out_of_fold": {"single": selection.single, "ensemble": selection.ensemble},
        "single": {"trial": best.trial},
        "macro_f1": {
            "members": {
                member.folder.name: {
                    part: macro_f1(member.probabilities[part], labels[part]) for part in labels
                }
                for member in members
            },
            "ensemble": {part: macro_f1(means[part], labels[part]) for part in labels},
        },
        "test_images": len(labels["test"]),
        "test_gain": asdict(gain),
        "train": dict(cfg.train),
    }
