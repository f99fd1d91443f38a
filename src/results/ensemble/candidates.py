"""The trials that an ensemble may be made of: the best that were seen to the end."""

from dataclasses import dataclass

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from src.errors import UserError
from src.results.ensemble.selection import Floats, Labels
from src.results.stored_study import StoredStudy
from src.results.summary import rank
from src.trial.out_of_fold import OutOfFold


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
        probabilities.append(found.probabilities.astype(np.float32))
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
        found.probabilities[order],
        found.classes,
    )


def _same_images(one: OutOfFold, other: OutOfFold) -> bool:
    return (
        one.classes == other.classes
        and np.array_equal(one.rows, other.rows)
        and np.array_equal(one.labels, other.labels)
    )
