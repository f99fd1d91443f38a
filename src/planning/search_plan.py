"""The plan of a search: memory and time of every image size x batch size, and what to change."""

import copy
import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict
from optuna.trial import FrozenTrial

from doctune.errors import UserError
from doctune.study.keys import check_limits
from src.before.checks import check_one_card
from src.before.objectives import check_objectives
from src.before.sizes import told_if_bounded
from src.before.trial_length import (
    epochs_of_trials,
    told_if_longer,
    told_if_timed,
)
from src.before.values import check_values
from src.hardware import memory
from src.hardware.config import AUTO
from src.hardware.detect import cards
from src.hardware.footprint import Footprint
from src.hardware.speed import keep_busy
from src.planning.counting import count_all
from src.planning.earlier_trials import Correction, correction, is_device_of, stored_trials
from src.planning.trial_time import (
    Saving,
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

# Of the training step, by image size.
Footprints = Mapping[int, Footprint]


@dataclass(frozen=True)
class Cell:
    """One image size with one batch size."""

    img_size: int
    batch_size: int
    # Bytes of the card; the second with gradient checkpointing, None where it was not counted.
    needed: int
    needed_checkpointing: int | None
    fits: bool
    fits_checkpointing: bool
    # Images at a time that a trial trains with: less than the batch where that does not fit.
    micro_batch: int
    # Whether a trial trains with gradient checkpointing, as `gpu.checkpointing` says.
    checkpointing: bool
    # Of a fold: the same in all but under `quick_validation.seconds`.
    epochs: int
    # Seconds of a trial that is not pruned.
    seconds: float


@dataclass(frozen=True)
class SearchPlan:
    """What a search needs and what it would be better for."""

    cells: tuple[Cell, ...]
    # Image size -> most images that fit at a time; 0: not even one.
    largest: dict[int, int]
    largest_checkpointing: dict[int, int]
    available: float
    images: Images
    searched: Searched
    parameters: int
    # How many trials come before pruning may begin.
    unpruned: int
    # Trials that can share a card, by memory.
    trials_a_card: int
    # How much faster a search is with one trial more on each card; 1 where none fits.
    gain_of_sharing: float
    correction: Correction
    pruning: Saving
    # Share of a trial's time that goes into batch norm's statistics, `trainer.precise_bn`.
    statistics: float
    # What is different as the images are few, in words.
    few_images: tuple[str, ...]
    seconds_a_trial: float
    n_trials: int
    n_jobs: int
    timeout: float | None

    @property
    def in_time(self) -> bool:
        """Tell whether the search is expected to end before `optuna.timeout`."""
        return self.timeout is None or self.seconds <= self.timeout

    @property
    def trials_in_time(self) -> int:
        """Return how many trials are expected to finish before `optuna.timeout`."""
        limit = self.timeout
        if limit is None:
            return self.n_trials
        fitting = (n for n in range(self.n_trials, 0, -1) if self.seconds_of(n) <= limit)
        return next(fitting, 0)

    @property
    def is_pruned(self) -> bool:
        """Tell whether any trial is expected to be ended early."""
        return self.pruning.share > 0 and self.n_trials > self.unpruned

    @property
    def seconds(self) -> float:
        """Return how long the whole search is expected to take."""
        return self.seconds_of(self.n_trials)

    def seconds_of(self, n_trials: int) -> float:
        """Return how long a search of so many trials is expected to take."""
        full = min(self.unpruned, n_trials)
        work = self.seconds_a_trial * (full + (n_trials - full) * (1 - self.pruning.share))
        return work / min(self.n_jobs, n_trials)


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
    largest = max(searched.batch_sizes)
    told = (
        told_if_bounded(cfg, searched.batch_sizes),
        told_if_longer(cfg, images.train, largest),
        told_if_timed(cfg),
    )
    cfg.quick_validation.epochs = epochs_of_trials(cfg, images.train, largest)
    plain, checkpointed = _count(cfg, searched, images, progress)
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

    cells, without = all_cells(cfg), all_cells(_without_statistics(cfg))
    taken = 1 - fmean(cell.seconds for cell in without) / fmean(cell.seconds for cell in cells)
    saved = expected_saving(cfg, pruning(cfg), earlier)
    fitting, n_jobs = _trials_a_card(cfg, cells), cfg.optuna.n_jobs
    if cfg.gpu.trials_per_device == AUTO:
        together = min(fitting, _keep_busy(cfg, cells, plain))
        n_jobs = min(n_jobs, together * max(1, len(cards())))
        cells = tuple(_in_company(cfg, images, cell, plain, together, corrected) for cell in cells)
    return SearchPlan(
        cells=cells,
        largest=_largest(cfg, plain),
        largest_checkpointing=_largest(cfg, checkpointed),
        available=room(cfg.gpu),
        images=images,
        searched=searched,
        parameters=plain[searched.img_sizes[0]].small.parameters,
        trials_a_card=fitting,
        gain_of_sharing=_gain_of_sharing(cfg, images, cells, plain, fitting),
        correction=corrected,
        pruning=saved,
        statistics=taken,
        few_images=tuple(note for note in told if note is not None),
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


def _count(
    cfg: DictConfig, searched: Searched, images: Images, progress: Callable[[str], Any]
) -> tuple[Footprints, Footprints]:
    """Count a step at every image size, and with checkpointing where the largest does not fit."""
    sized = {side: at_size(cfg, img_size=side) for side in searched.img_sizes}
    progress(f"counting a training step of {cfg.model.name}")
    plain = count_all(sized, images.classes)
    most = max(searched.batch_sizes)
    limit = room(cfg.gpu)
    refused = {
        side: sized[side] for side, found in plain.items() if memory.needed(found, most) > limit
    }
    if refused:
        progress(f"counting {cfg.model.name} with gradient checkpointing")
    return plain, count_all(refused, images.classes, checkpointing=True)


def _without_statistics(cfg: DictConfig) -> DictConfig:
    found = OmegaConf.merge(cfg, {"trainer": {"precise_bn": 0}})
    assert isinstance(found, DictConfig)
    return found


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
        try:
            less = bool(noted.get(FORESEEN, {}).get("checkpointing"))
            footprint = footprint_of(other, images.classes, checkpointing=less)
        except UserError:
            return None
        at_a_time = noted.get("micro_batch")
        return trial_seconds(other, footprint, load["images"], noted["epochs"], at_a_time)

    return correction(trials, cfg.model.name, is_device_of(cfg.gpu), estimate)


def _trials_a_card(cfg: DictConfig, cells: Sequence[Cell]) -> int:
    """Return how many of the largest trials fit into a whole card."""
    if not cfg.gpu.memory_gb:
        return 1
    a_trial = memory.available(cfg.gpu)
    images = a_trial - room(cfg.gpu)
    card = a_trial * memory.sharing(cfg.gpu)
    return max(1, int(card // (images + max(cell.needed for cell in cells))))


def _keep_busy(cfg: DictConfig, cells: Sequence[Cell], plain: Footprints) -> int:
    """Return how many trials at a time should keep a card busy, whichever they are."""
    return min(keep_busy(plain[cell.img_size], cell.batch_size, cfg.gpu) for cell in cells)


def _in_company(
    cfg: DictConfig,
    images: Images,
    cell: Cell,
    plain: Footprints,
    together: int,
    corrected: Correction,
) -> Cell:
    """Return a cell with the time of a trial that shares its card with others."""
    shared = at_size(cfg, img_size=cell.img_size, batch_size=cell.batch_size)
    shared.gpu.trials_per_device = together
    footprint = plain[cell.img_size]
    epochs, seconds = length_of_trial(
        shared, footprint, images.train, cell.micro_batch, corrected.factor
    )
    return dataclasses.replace(cell, epochs=epochs, seconds=seconds)


def _gain_of_sharing(
    cfg: DictConfig, images: Images, cells: Sequence[Cell], plain: Footprints, fitting: int
) -> float:
    """Return how many times as many trials a card gets through with one more at a time."""
    now = memory.sharing(cfg.gpu)
    if fitting <= now or cfg.gpu.trials_per_device == AUTO:
        return 1.0
    shared = copy.deepcopy(cfg)
    shared.gpu.trials_per_device = now + 1
    epochs = cfg.quick_validation.epochs * cfg.quick_validation.folds

    def a_trial(config: DictConfig) -> float:
        return sum(
            trial_seconds(
                at_size(config, img_size=cell.img_size, batch_size=cell.batch_size),
                plain[cell.img_size],
                images.train,
                epochs,
            )
            for cell in cells
        )

    return (now + 1) / now * a_trial(cfg) / a_trial(shared)
