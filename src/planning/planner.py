"""Plans a search: counts its images and its training steps, and estimates memory and time."""

import itertools
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict
from optuna.trial import FrozenTrial

from doctune.errors import UserError
from doctune.study.keys import check_limits
from src.before.checks import check_one_card
from src.before.objectives import check_objectives
from src.before.told_of_length import notes_on_length
from src.before.trial_length import epochs_of_trials
from src.before.values import check_values
from src.hardware import memory
from src.hardware.config import AUTO
from src.hardware.detect import cards
from src.hardware.footprint import Footprint
from src.hardware.speed import keep_busy
from src.planning.counting import Footprints, count_steps
from src.planning.earlier_trials import Correction, correction, is_device_of, stored_trials
from src.planning.search_plan import Cell, SearchPlan
from src.planning.sharing import gain_of_sharing, in_company, trials_a_card
from src.planning.trial_time import (
    at_size,
    expected_saving,
    length_of_trial,
    trial_seconds,
)
from src.planning.workload import Images, Searched, count_images, searched_sizes
from src.training.backbone import check_backbone
from src.training.forecast import fit_into, footprint_of, pruning
from src.training.model_notes import check_acting
from src.training.room import room
from src.trial.out_of_memory import FORESEEN


def make_plan(
    cfg: DictConfig, arguments: Sequence[str], progress: Callable[[str], Any]
) -> SearchPlan:
    """Count and estimate everything; takes seconds an image size.

    Args:
        cfg: the whole config.
        arguments: overrides of the command line, ranges included.
        progress: told what is being done.

    Raises:
        UserError: something in the config makes no sense.
    """
    searched = searched_sizes(cfg, arguments)
    _check(cfg, searched)
    progress("counting images")
    images = count_images(cfg)
    told = notes_on_length(cfg, images.train, searched.batch_sizes)
    cfg.quick_validation.epochs = epochs_of_trials(cfg, images.train, max(searched.batch_sizes))
    plain, checkpointed = count_steps(cfg, searched, images.classes, progress)
    progress("reading earlier trials")
    earlier = list(stored_trials(cfg.optuna.storage))
    corrected = _correction(cfg, images, earlier)

    def all_cells(config: DictConfig) -> tuple[Cell, ...]:
        return tuple(
            _cell(
                config, images, *size, plain[size[0]], checkpointed.get(size[0]), corrected.factor
            )
            for size in itertools.product(searched.img_sizes, searched.batch_sizes)
        )

    bare = at_size(cfg)
    bare.trainer.precise_bn = 0
    cells, without = all_cells(cfg), all_cells(bare)
    taken = 1 - fmean(cell.seconds for cell in without) / fmean(cell.seconds for cell in cells)
    saved = expected_saving(cfg, pruning(cfg), earlier)
    fitting, n_jobs = trials_a_card(cfg, cells), cfg.optuna.n_jobs
    if cfg.gpu.trials_per_device == AUTO:
        # Whichever they are: so many keep a card busy.
        busy = (keep_busy(plain[cell.img_size], cell.batch_size, cfg.gpu) for cell in cells)
        together = min(fitting, *busy)
        n_jobs = min(n_jobs, together * max(1, len(cards())))
        cells = tuple(in_company(cfg, images, cell, plain, together, corrected) for cell in cells)
    return SearchPlan(
        cells=cells,
        largest=_largest(cfg, plain),
        largest_checkpointing=_largest(cfg, checkpointed),
        available=room(cfg.gpu),
        images=images,
        searched=searched,
        parameters=plain[searched.img_sizes[0]].small.parameters,
        trials_a_card=fitting,
        gain_of_sharing=gain_of_sharing(cfg, images, cells, plain, fitting),
        correction=corrected,
        pruning=saved,
        statistics=taken,
        few_images=tuple(told),
        unpruned=int(cfg.pruning.n_startup_trials),
        seconds_a_trial=fmean(cell.seconds for cell in cells),
        n_trials=cfg.optuna.n_trials,
        n_jobs=n_jobs,
        timeout=cfg.optuna.timeout,
    )


def _check(cfg: DictConfig, searched: Searched) -> None:
    """Refuse what the search would refuse.

    Raises:
        UserError: names the key, the value and what to do.
    """
    check_limits(cfg.optuna)
    check_objectives(cfg)
    if cfg.optuna.enabled and HydraConfig.get().runtime.choices.get("hparams_search"):
        check_one_card(cfg, "a search gives every trial")
    for side in searched.img_sizes:
        for batch in searched.batch_sizes:
            check_values(at_size(cfg, img_size=side, batch_size=batch))
        check_backbone(cfg.model, side)
        check_acting(cfg.model, side)


def _largest(cfg: DictConfig, footprints: Footprints) -> dict[int, int]:
    limit, most = room(cfg.gpu), cfg.gpu.max_batch_size
    return {side: memory.largest_batch(found, limit, most) for side, found in footprints.items()}


def _cell(
    cfg: DictConfig,
    images: Images,
    side: int,
    batch: int,
    footprint: Footprint,
    checkpointed: Footprint | None,
    factor: float,
) -> Cell:
    sized = at_size(cfg, img_size=side, batch_size=batch)
    found = fit_into(sized, footprint, checkpointed)
    less = None if checkpointed is None else memory.needed(checkpointed, batch)
    trained = checkpointed if found.checkpointing and checkpointed else footprint
    epochs, seconds = length_of_trial(sized, trained, images.train, found.micro_batch, factor)
    return Cell(
        img_size=side,
        batch_size=batch,
        needed=found.needed,
        needed_checkpointing=less,
        fits=found.needed <= found.available,
        fits_checkpointing=less is not None and less <= found.available,
        micro_batch=found.micro_batch or batch,
        checkpointing=found.checkpointing,
        epochs=epochs,
        seconds=seconds,
    )


def _correction(cfg: DictConfig, images: Images, trials: Sequence[FrozenTrial]) -> Correction:
    def estimate(noted: dict[str, Any]) -> float | None:
        load = noted["workload"]
        if load.get("trials_per_device") == AUTO:
            # How many shared the card with it is not known.
            return None
        other = at_size(cfg, img_size=load["img_size"], batch_size=load["batch_size"])
        with open_dict(other):
            other.model.name = load["model"]
            other.trainer.precision = load["precision"]
            other.gpu.trials_per_device = load.get("trials_per_device", 1)
            other.quick_validation.folds = load["folds"]
            # Those of an earlier version took none.
            other.trainer.precise_bn = load.get("precise_bn", 0)
            # After all epochs alike.
            between = load.get("precise_bn_between", other.trainer.precise_bn)
            other.quick_validation.precise_bn = between
        try:
            less = bool(noted.get(FORESEEN, {}).get("checkpointing"))
            footprint = footprint_of(other, images.classes, checkpointing=less)
        except UserError:
            return None
        at_a_time = noted.get("micro_batch")
        return trial_seconds(other, footprint, load["images"], noted["epochs"], at_a_time)

    return correction(trials, cfg.model.name, is_device_of(cfg.gpu), estimate)
