"""The folds that an interrupted trial has finished, for the trial that continues it.

Each fold starts from its own seed, so a trial that takes over the finished folds and trains the
others ends exactly as one that was never interrupted.
"""

import logging
import zipfile
from collections.abc import Sequence
from pathlib import Path

from doctune.trial import RunningTrial
from src.trial.out_of_fold import FILE, OutOfFold
from src.trial.running_score import RunningScore, share_after

log = logging.getLogger(__name__)

ATTRIBUTE = "curves"
# Kept beside them by `src/trial/loss_curves.py`.
LOSSES = "losses"
SECONDS = "seconds_of_folds"


def note_curves(trial: RunningTrial, score: RunningScore, seconds: float) -> None:
    """Keep the finished folds with the trial, to be handed on if it is lost.

    Args:
        trial: what is trained.
        score: with their curves.
        seconds: that they took.
    """
    trial.note(ATTRIBUTE, score.curves)
    trial.note(SECONDS, round(seconds, 3))
    trial.note("folds", score.finals)


def take_over(
    trial: RunningTrial,
    score: RunningScore,
    folder: Path,
    epochs: int,
    shares: int,
    files: Sequence[str] = (FILE,),
) -> dict[str, OutOfFold] | None:
    """Take over the finished folds of the trial that `trial` continues, or of its own first start.

    A scheduler may give a job back to its queue, which then begins again as the same trial. Their
    epochs are reported again, so that the pruner compares whole curves.

    Args:
        trial: perhaps the continuation of another one.
        score: empty; gets the curves.
        folder: of `trial`; the interrupted one's lies beside it.
        epochs: of a fold.
        shares: of a fold at which trials are compared, as in `share_after`.
        files: that trials keep predictions in.

    Returns:
        The predictions of those folds, by file; None where there is nothing to take over, because
        the interrupted trial had finished no fold or ran on a machine with other folders.
    """
    curves = trial.noted(ATTRIBUTE) or []
    if not curves or any(len(curve) != epochs for curve in curves):
        return None
    before = folder.parent / str(trial.noted("continues"))
    kept = _all_of(folder, files, len(curves)) or _all_of(before, files, len(curves))
    if not kept:
        log.info("starts again: the predictions of the finished folds are not here")
        return None
    for fold, curve in enumerate(curves):
        for epoch, value in enumerate(curve):
            estimate, share = score.add(value), share_after(epoch, epochs, shares)
            if share is not None:
                trial.report_again(estimate, fold * shares + share)
        score.end_fold()
    for file, predictions in kept.items():
        predictions.save(folder, file)
    note_curves(trial, score, trial.noted(SECONDS) or 0.0)
    log.info("takes over %d finished folds", len(curves))
    return kept


def _all_of(folder: Path, files: Sequence[str], folds: int) -> dict[str, OutOfFold]:
    """Return what a trial predicted in its first folds, by file; nothing where one is missing."""
    found = {file: _predictions(folder, file, folds) for file in files}
    kept = {file: predictions for file, predictions in found.items() if predictions is not None}
    return kept if len(kept) == len(files) else {}


def _predictions(folder: Path, file: str, folds: int) -> OutOfFold | None:
    try:
        kept = OutOfFold.load(folder, file).first_folds(folds)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        # Not there, or cut off while it was written.
        return None
    return kept if kept.folds.max(initial=-1) == folds - 1 else None
