"""The best trials of a study with what they say of the same images, out of fold.

An ensemble is made of them, and they are asked which labels are probably wrong.
"""

from dataclasses import dataclass

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from doctune.errors import UserError
from src.results.stored_study import StoredStudy, parameters_of
from src.results.summary import rank
from src.training.calibration import Floats, Ints
from src.trial.out_of_fold import CLEAN, FILE, OutOfFold


@dataclass(frozen=True)
class Candidates:
    """Trials, the best first, with what they say of the same images.

    Args:
        trials: complete ones, no two with the same parameters.
        probabilities: [N, C] of each, out of fold.
        labels: int64 [N].
        rows: int64 [N], the images' rows in their source.
        classes: names, in the order of the labels.
        left_out: trials that cannot take part, each with its reason in words.
    """

    trials: list[FrozenTrial]
    probabilities: list[Floats]
    labels: Ints
    rows: Ints
    classes: tuple[str, ...]
    left_out: list[str]


def find_candidates(stored: StoredStudy, most: int, clean: bool = False) -> Candidates:
    """Take the best trials of a study whose out-of-fold predictions are over the same images.

    Args:
        stored: the study.
        most: how many of them at most.
        clean: their predictions of pages as they are, where the study has scored worn ones.

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
        found = _load(stored, trial, clean)
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
    return Candidates(
        trials, probabilities, reference.labels, reference.rows, reference.classes, left_out
    )


def _best_first(stored: StoredStudy) -> list[FrozenTrial]:
    complete = stored.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        raise UserError(
            f"study={stored.study.study_name}: no trial ran to the end yet, so there is nothing "
            "to combine"
        )
    found: dict[str, FrozenTrial] = {}
    for trial in rank(stored.study, complete):
        found.setdefault(parameters_of(trial), trial)
    return list(found.values())


def _load(stored: StoredStudy, trial: FrozenTrial, clean: bool) -> OutOfFold | None:
    """Read a trial's predictions in the order of the images; None where there are none."""
    try:
        folder = stored.trial_folder(trial.number)
        file = CLEAN if clean and (folder / CLEAN).exists() else FILE
        found = OutOfFold.load(folder, file)
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
