"""How a trial is scored: stratified k-fold cross-validation at few epochs."""

import logging
import time
from pathlib import Path

import optuna
from omegaconf import DictConfig

from src.data.folds import stratified_folds
from src.data.image_set import ImageSet
from src.sweep.running_trial import RunningTrial
from src.training.fit import fit
from src.training.loggers import RunLog
from src.trial.environment import environment
from src.trial.finished_folds import SECONDS, note_curves, take_over
from src.trial.forecast import workload
from src.trial.keep_probabilities import KeepProbabilities
from src.trial.out_of_fold import OutOfFold
from src.trial.reporting import ReportToStudy
from src.trial.running_score import RunningScore

log = logging.getLogger(__name__)


def cross_validate(
    cfg: DictConfig, data: ImageSet, trial: RunningTrial, log_to: RunLog, folder: Path
) -> float:
    """Train on every fold in turn and report each epoch.

    The folds depend on the labels and `data.seed` alone, so they are the same in every trial;
    weights and batches of fold `k` are drawn from `seed + k`, the same in every trial as well.

    Args:
        cfg: the trial's config.
        data: what is cut into folds: the train split.
        trial: told about progress; ended as pruned in the study if it comes to that.
        log_to: gets the curves of the folds, and the score.
        folder: the trial's, for its out-of-fold predictions.

    Returns:
        The mean macro-F1 over the folds after their last epochs; for a pruned trial the
        estimate so far.
    """
    quick = cfg.quick_validation
    score = RunningScore()
    trial.note("environment", environment(cfg.trainer.accelerator))
    trial.note("workload", workload(cfg, data))
    started = time.monotonic()
    kept = take_over(trial, score, folder, quick.epochs)
    if kept is None:
        kept = OutOfFold.empty(data.classes)
    else:
        started -= trial.noted(SECONDS)
    try:
        for fold, (train, val) in enumerate(
            stratified_folds(data.labels, quick.folds, cfg.data.seed, data.groups)
        ):
            if fold < len(score.finals):
                continue
            report = ReportToStudy(trial, score, fold, quick.folds, quick.epochs)
            keeper = KeepProbabilities()
            fit(
                cfg,
                data.subset(train),
                data.subset(val),
                max_epochs=quick.epochs,
                seed=cfg.seed + fold,
                output_dir=None,
                logger=log_to.part(f"fold_{fold + 1}/"),
                callbacks=[keeper, report],
            )
            score.end_fold()
            kept = kept.with_fold(data.subset(val), keeper.probabilities())
            kept.save(folder)
            note_curves(trial, score, time.monotonic() - started)
            log.info("fold %d of %d: macro-F1 %.4f", fold + 1, quick.folds, score.finals[-1])
    except optuna.TrialPruned as reason:
        log.info("ended early by the %s after %d epochs", reason, score.epochs)
        _note_costs(trial, score, started)
        log_to.add_scores({"score": score.estimate()})
        trial.end_as_pruned()
        return score.estimate()
    _note_costs(trial, score, started)
    log_to.add_scores({"score": score.estimate()})
    trial.end_as_complete(score.estimate())
    return score.estimate()


def _note_costs(trial: RunningTrial, score: RunningScore, started: float) -> None:
    trial.note("epochs", score.epochs)
    trial.note("train_seconds", round(time.monotonic() - started, 3))
