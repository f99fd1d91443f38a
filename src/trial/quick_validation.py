"""How a trial is scored: stratified k-fold cross-validation at few epochs."""

import functools
import logging
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import optuna
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig

from doctune.trial import RunningTrial
from src.before.objectives import OBJECTIVES, Labels, as_clean, fold_score
from src.before.trial_length import decided_after, images_between
from src.data.folds import stratified_folds
from src.data.image_set import ImageSet
from src.data.wear import as_scored
from src.data.wear_presets import wear_of
from src.training.evaluate import scores_of
from src.training.fit import FitResult, fit
from src.training.forecast import workload
from src.training.run_log import RunLog
from src.trial.environment import environment
from src.trial.equal_time import epochs_of_trial
from src.trial.finished_folds import ATTRIBUTE, SECONDS, note_curves, take_over
from src.trial.kept_scores import KeepScores
from src.trial.loss_curves import LossCurves
from src.trial.out_of_fold import CLEAN, FILE, OutOfFold, Scores
from src.trial.out_of_memory import Fitting
from src.trial.reporting import ReportToStudy
from src.trial.running_score import RunningScore

log = logging.getLogger(__name__)


def cross_validate(
    cfg: DictConfig, data: ImageSet, trial: RunningTrial, log_to: RunLog, folder: Path
) -> float | list[float]:
    """Train on every fold in turn and report each epoch.

    The folds depend on the labels and `data.seed` alone, so they are the same in every trial;
    weights and batches of fold `k` are drawn from `seed + k`, the same in every trial as well.
    Under `quick_validation.wear` the pages held out are worn; as they are, they are scored once
    more at the end of each fold, which costs as much as one of its epochs' validations.
    Under `quick_validation.seconds` its epochs follow from the trial's own speed.

    Args:
        cfg: the trial's config.
        data: what is cut into folds: the train split.
        trial: told about progress; ended as pruned in the study if it comes to that.
        log_to: gets the curves of the folds, and the score.
        folder: the trial's, for its out-of-fold predictions.

    Returns:
        The mean of the first objective over the folds after their last epochs, for a pruned
        trial the estimate so far; with several objectives a list of all.
    """
    quick = cfg.quick_validation
    objectives = list(cfg.optuna.objectives)
    score = RunningScore(0.0, OBJECTIVES[objectives[0]].high)
    trial.note("environment", environment(cfg.trainer.accelerator))
    trial.note("classes", len(data.classes))
    fitting = Fitting(cfg, len(data.classes), trial.note)
    where = cfg.data.cache_dir if data.stored_as else None
    cut = data.labels, quick.folds, cfg.data.seed, data.groups
    folds = stratified_folds(*cut, cache_dir=where)
    epochs = int(quick.epochs)
    if quick.seconds is not None:
        first = [data.subset(part) for part in folds[0]]
        epochs = epochs_of_trial(cfg, fitting, trial, first[0], as_scored(cfg, first[1]))
    work = workload(cfg, data, epochs)
    trial.note("workload", {**work, "precise_bn_between": images_between(cfg)})
    started = time.monotonic()
    files = (FILE,) if wear_of(cfg) is None else (FILE, CLEAN)
    kept = take_over(trial, score, folder, epochs, quick.epochs, files)
    if kept is None:
        kept = dict.fromkeys(files, OutOfFold.empty(data.classes))
    else:
        started -= trial.noted(SECONDS)
    if _on_cuda():
        torch.cuda.reset_peak_memory_stats()
    losses = LossCurves(trial, len(score.finals))
    try:
        for fold, (train, val) in enumerate(folds):
            if fold < len(score.finals):
                continue
            clean = data.subset(val)
            held_out = {FILE: as_scored(cfg, clean), CLEAN: clean}
            images = data.subset(train), {file: held_out[file] for file in files}
            found = _train_fold(fitting, *images, trial, log_to, score, losses, fold, epochs)
            score.end_fold()
            for file, probabilities in found.items():
                kept[file] = kept[file].with_fold(held_out[file], probabilities)
                kept[file].save(folder, file)
            losses.note()
            note_curves(trial, score, time.monotonic() - started)
            log.info(
                "fold %d of %d: %s %.4f", fold + 1, quick.folds, objectives[0], score.finals[-1]
            )
    except optuna.TrialPruned as reason:
        log.info("ended early by the %s after %d epochs", reason, score.epochs)
        losses.note()
        trial.note(ATTRIBUTE, score.all_curves)
        _note_costs(trial, score, started)
        log_to.add_pruned(score.estimate())
        trial.end_as_pruned()
        return score.estimate()
    seconds = _note_costs(trial, score, started)
    values = [score.estimate(), *(_value(name, kept, seconds) for name in objectives[1:])]
    told = {"score": score.estimate(), **dict(zip(objectives, values, strict=True))}
    if CLEAN in kept:
        clean_scores = _of_folds(objectives[0], kept[CLEAN])
        trial.note("folds_clean", clean_scores)
        told[as_clean(objectives[0])] = fmean(clean_scores)
    log_to.add_scores(told)
    result = values[0] if len(values) == 1 else values
    trial.end_as_complete(result)
    return result


def _train_fold(
    fitting: Fitting,
    train: ImageSet,
    held_out: dict[str, ImageSet],
    trial: RunningTrial,
    log_to: RunLog,
    score: RunningScore,
    losses: LossCurves,
    fold: int,
    epochs: int,
) -> dict[str, Scores]:
    """Train a fold.

    Args:
        fitting: runs it so that it fits into memory.
        train: what is trained on.
        held_out: by the file that keeps what is said of it; that of `FILE` is scored every epoch.
        trial: told about progress.
        log_to: gets the curves.
        score: the trial's.
        losses: the trial's.
        fold: its index.
        epochs: that it is trained for.

    Returns:
        Log-probabilities [N, C] of what is held out, by the same files.
    """
    scored = held_out[FILE]
    keeper, reported = KeepScores(), 0

    def attempt(cfg: DictConfig) -> FitResult:
        nonlocal keeper, reported
        reported = max(reported, score.restart_fold())
        keeper = KeepScores()
        losses.begin_fold(fold)
        quick = cfg.quick_validation
        measure = functools.partial(_measure, cfg.optuna.objectives[0], scored.labels, keeper)
        report = ReportToStudy(
            trial,
            score,
            fold,
            quick.folds,
            epochs=epochs,
            # Without `seconds` as many.
            shares=quick.epochs,
            measure=measure,
            reported=reported,
        )
        return fit(
            cfg,
            train,
            scored,
            max_epochs=epochs,
            seed=cfg.seed + fold,
            output_dir=None,
            logger=log_to.part(f"fold_{fold + 1}/"),
            # The report may end the fold, so it comes last.
            callbacks=[keeper, losses, report],
            decided_after=decided_after(cfg, epochs),
        )

    result = fitting.fit(attempt)
    found = {FILE: keeper.scores()}
    if CLEAN in held_out:
        found[CLEAN] = fitting.run(functools.partial(scores_of, result, held_out[CLEAN])).numpy()
    return found


def _measure(name: str, labels: Labels, keeper: KeepScores, trainer: pl.Trainer) -> float:
    """Return an objective after an epoch: as the module has logged it, else from predictions."""
    logged = OBJECTIVES[name].logged
    if logged is not None:
        return float(trainer.callback_metrics[logged])
    return fold_score(name, labels, keeper.scores())


def _value(name: str, kept: dict[str, OutOfFold], seconds: float) -> float:
    """Return an objective of a finished trial, its mean over the folds."""
    objective = OBJECTIVES[name]
    if objective.score is None:
        return seconds
    return fmean(_of_folds(name, kept[CLEAN if objective.clean else FILE]))


def _of_folds(name: str, kept: OutOfFold) -> list[float]:
    folds = [kept.folds == fold for fold in np.unique(kept.folds)]
    return [fold_score(name, kept.labels[rows], kept.scores[rows]) for rows in folds]


def _note_costs(trial: RunningTrial, score: RunningScore, started: float) -> float:
    seconds = round(time.monotonic() - started, 3)
    trial.note("epochs", score.epochs)
    trial.note("train_seconds", seconds)
    if _on_cuda():
        # With what the allocator keeps: what a second trial could not have on this card.
        trial.note("peak_memory", torch.cuda.max_memory_reserved())
    return seconds


def _on_cuda() -> bool:
    """Tell whether this process has used a card."""
    initialized: Any = torch.cuda.is_initialized
    return bool(initialized())
