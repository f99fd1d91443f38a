"""The best trial and the defaults trained in full, when a search has ended.

Trials are shorter than the training that follows, and who only learns sooner is ahead no more by
then: on scikit-learn's digits a gain of 0.05 after 5 epochs was 0.0005 after 15
(docs/measured.md). On folds of the search, not on the test split, which a search may not look at.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import optuna
from omegaconf import DictConfig
from rich.console import Console

from doctune.errors import UserError
from doctune.words import counted, duration
from src.before import starting
from src.before.checks import check_one_card, check_run
from src.before.elsewhere import is_elsewhere
from src.data.load import data_fingerprint
from src.results.confirmation.full_length import FullLength
from src.results.confirmation.plan import Run, config_of, seeds_of
from src.results.confirmation.runs import SCORE, Runs
from src.results.finish import print_decision
from src.results.stored_study import StoredStudy
from src.results.summary import Summary, seconds_an_epoch, summarize
from src.results.verdict import epochs_of_a_fold
from src.results.write import write_results

WHAT = "full trainings"


def train_in_full(
    study: optuna.Study, folder: Path, config: DictConfig, seconds_left: float | None
) -> None:
    """Train both on `optuna.in_full` folds, keep what came out, and say what it means.

    Folds are trained in turn, and no more of them once the best is not ahead, or once the next
    would not fit into the time at the pace of the trials. Nothing happens where
    nothing is to be learnt, where trials run on other machines, or where no time is left.

    Args:
        study: whose search has ended; its results are written.
        folder: of the study.
        config: of the search.
        seconds_left: of `optuna.timeout`; None: there is no limit.
    """
    found, console = summarize(study), Console()
    ends = None if seconds_left is None else time.monotonic() + seconds_left
    if not _is_open(found, config) or is_elsewhere(config.hydra):
        return
    try:
        _train(StoredStudy(study, folder), found, config, ends, console)
    except UserError as error:
        # The search itself has gone well.
        console.print(f"Not trained in full: {error}", markup=False, soft_wrap=True)
    except KeyboardInterrupt:
        starting.stop("stopped; the search's results stand, and the same command goes on")


def _train(
    stored: StoredStudy,
    found: Summary,
    config: DictConfig,
    ends: float | None,
    console: Console,
) -> None:
    """Train what is missing in the time there is, keep what came out, and say so.

    Raises:
        UserError: a trial has left no config, as where it ran on another machine, the two need
            more than one card, or a process has died.
    """
    assert found.best is not None
    assert found.defaults is not None
    pair = found.best.number, found.defaults.number
    configs = {number: config_of(stored, number, {}, config.optuna.n_jobs) for number in pair}
    for one in configs.values():
        check_one_card(one, "a full training at the end of a search takes")
        check_run(one)
    runs, planned = Runs(stored.folder), _runs(configs, pair, config)
    a_fold = _seconds_of_a_fold(found, config)
    if not runs.has(planned[:2]) and _is_too_long(a_fold, ends):
        return
    folds = len(planned) // 2
    console.print(
        f"\nTraining trial {pair[0]} and the defaults in full, on {counted(folds, 'fold')} of the "
        f"search: {counted(planned[0].epochs, 'epoch')} each, about {duration(a_fold * folds)}. "
        "Ctrl-C leaves that out.",
        highlight=False,
        soft_wrap=True,
    )

    def is_enough() -> bool:
        so_far = _came_to(runs, planned, pair)
        return so_far is not None and (so_far.mean <= 0 or _is_too_long(a_fold, ends))

    runs.make(planned, configs, WHAT, console, is_enough)
    full = _came_to(runs, planned, pair)
    if full is not None:
        full.keep(stored.study)
        print_decision(write_results(stored), console)


def _is_open(found: Summary, config: DictConfig) -> bool:
    """Tell whether full trainings would say what is not known."""
    best, defaults = found.best, found.defaults
    return (
        config.optuna.in_full > 0
        and best is not None
        and defaults is not None
        and best.number != defaults.number
        and found.objectives == [SCORE]
        and not _is_told(found.in_full, config)
        # Another process of this study may still find a better one.
        and not found.running
        and epochs_of_a_fold(best) < config.trainer.max_epochs
    )


def _is_told(full: FullLength | None, config: DictConfig) -> bool:
    """Tell whether there is nothing to add to what full trainings have said."""
    wanted = min(config.quick_validation.folds, config.optuna.in_full)
    return full is not None and (full.mean <= 0 or len(full.best_scores) >= wanted)


def _runs(
    configs: dict[int, DictConfig], pair: tuple[int, int], config: DictConfig
) -> Sequence[Run]:
    """Return the trainings, fold by fold, with the seeds that trials had there."""
    folds, data = config.quick_validation.folds, data_fingerprint(config.data)
    epochs = config.trainer.max_epochs
    return [
        Run(number, "folds", 0, fold, *seeds_of(configs[number], 0, fold), folds, epochs, data)
        for fold in range(min(folds, config.optuna.in_full))
        for number in pair
    ]


def _came_to(runs: Runs, planned: Sequence[Run], pair: tuple[int, int]) -> FullLength | None:
    """Return what the folds say that both have trained, from the first on; None before that."""
    made: list[tuple[float, float]] = []
    for best, defaults in zip(planned[::2], planned[1::2], strict=True):
        if not runs.has([best, defaults]):
            break
        made.append((runs.score(best), runs.score(defaults)))
    if not made:
        return None
    ours, theirs = zip(*made, strict=True)
    return FullLength(*pair, planned[0].epochs, planned[0].folds, list(ours), list(theirs))


def _seconds_of_a_fold(found: Summary, config: DictConfig) -> float:
    """Return how long both take on a fold, at the pace of their trials."""
    paces = [seconds_an_epoch(trial) or 0.0 for trial in (found.best, found.defaults) if trial]
    together: Callable[..., float] = max if config.optuna.n_jobs > 1 else sum
    return together(paces) * float(config.trainer.max_epochs)


def _is_too_long(seconds: float, ends: float | None) -> bool:
    return ends is not None and time.monotonic() + seconds > ends
