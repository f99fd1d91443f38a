"""What is checked before any training starts, for a single run and for a whole search."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from src.command_line.untrusted_config import check_environment
from src.data.folds import stratified_folds
from src.data.load import load_splits
from src.data.splits import Splits
from src.errors import UserError
from src.hardware.config import AUTO
from src.hardware.profile import check_device, check_jobs, differing_card
from src.launch.packing import JobNeeds
from src.trial.objectives import check_objectives

log = logging.getLogger(__name__)

# What conf/hparams_search/base.yaml calls the fingerprint of the data.
CONTENT = "content of the images and splits"

CHOICES = {
    "trainer.accelerator": ["auto", "cpu", "cuda", "gpu", "mps"],
    "trainer.precision": ["32-true", "16-mixed", "bf16-mixed", "bf16-true", "16-true", "64-true"],
    "trainer.depthwise": ["cudnn", "torch"],
    "loss.class_weights": ["none", "balanced"],
}

# Key -> smallest value that makes sense.
SMALLEST = {
    "trainer.max_epochs": 1,
    "trainer.devices": 1,
    "quick_validation.epochs": 1,
    "quick_validation.folds": 2,
    "pruning.patience": 0,
    "pruning.n_startup_trials": 0,
    "data.batch_size": 1,
    "data.img_size": 16,
    "optimizer.lr": 0,
    "optimizer.weight_decay": 0,
    "scheduler.warmup_epochs": 0,
    "augment.mixup_alpha": 0,
    "augment.strength": 0,
    "gpu.trials_per_device": 1,
    "gpu.memory_gb": 0,
    "gpu.usable_gb": 0,
    "gpu.max_batch_size": 1,
}
SHARED = "gpu.trials_per_device"
# Estimates divide by them.
RATES = ("gpu.tflops", "gpu.tflops_float32", "gpu.bandwidth_gb")
# They do nothing in a training run.
SEARCH_KEYS = ("optuna.n_trials=", "optuna.timeout=", "optuna.n_jobs=", "optuna.from_study=")
SHARES = ("model.drop_rate", "model.drop_path_rate", "loss.label_smoothing")


def check_run(cfg: DictConfig) -> None:
    """Check what a training run needs.

    Raises:
        UserError: names the key, the value and what to do.
    """
    _check_card(cfg)
    check_values(cfg)
    # Imported here, as it brings torch along.
    from src.training.backbone import check_backbone, check_weights
    from src.training.loggers import check_logger

    check_backbone(cfg.model, cfg.data.img_size)
    check_logger(cfg.logger)
    check_weights(cfg.model, cfg.data.img_size)


def check_command(hydra: Any) -> None:
    """Refuse a training run that was meant to be a search.

    Args:
        hydra: Hydra's part of the config of a job that is no trial.

    Raises:
        UserError: there is a preset without `-m`, or a key of a search without a preset.
    """
    preset = hydra.runtime.choices.get("hparams_search")
    if preset and OmegaConf.is_missing(hydra.job, "num"):
        raise UserError(
            f"hparams_search={preset} is a search, which needs -m: python -m src.train -m "
            f"hparams_search={preset} ...; leave it out to train once"
        )
    of_searches = [word for word in hydra.overrides.task if word.startswith(SEARCH_KEYS)]
    if of_searches and not preset and hydra.sweeper._target_.endswith(".BasicSweeper"):
        raise UserError(
            f"{of_searches[0]}: belongs to a search; choose one, as in "
            "python -m src.train -m hparams_search=fast"
        )


def check_search(cfg: DictConfig, jobs: Sequence[DictConfig]) -> JobNeeds | None:
    """Check what a search needs, and decode the data once for all its trials.

    Returns what a launcher should know that packs several trials on a card.

    Args:
        cfg: the config of the search.
        jobs: configs of jobs that between them hold every choice and both ends of every range.

    Raises:
        UserError: names the key, the value and what to do.
    """
    check_environment()
    _check_card(cfg)
    # Other launchers have the cards of other machines.
    choices = HydraConfig.get().runtime.choices if HydraConfig.initialized() else {}
    if choices.get("hydra/launcher") == "local_workers":
        check_jobs(cfg.gpu, cfg.trainer.accelerator, cfg.optuna.n_jobs)
    check_objectives(cfg)
    for job in [cfg, *jobs]:
        check_one_card(job, "a search gives every trial")
    check_values(cfg)
    for job in jobs:
        check_values(job)
    from src.training.backbone import check_backbone, check_weights
    from src.training.loggers import check_logger

    check_logger(cfg.logger)
    # Most jobs differ in what does not concern the model's shape.
    shapes = {f"{job.data.img_size} {job.model}": job for job in jobs or [cfg]}
    for job in shapes.values():
        check_backbone(job.model, job.data.img_size)
    splits = load_splits(cfg.data)
    tell_notes(splits)
    train, quick = splits.train, cfg.quick_validation
    stratified_folds(train.labels, quick.folds, cfg.data.seed, train.groups, train.classes)
    # Last, as they may have to be fetched: now and not by every worker at once.
    sources = ("name", "pretrained", "checkpoint_path")
    models = {str([job.model[key] for key in sources]): job for job in jobs or [cfg]}
    for job in models.values():
        check_weights(job.model, job.data.img_size)
    from src.trial.needs import job_needs

    return job_needs(cfg, jobs, train)


def _check_card(cfg: DictConfig) -> None:
    check_device(cfg.gpu, cfg.trainer.accelerator)
    warning = differing_card(cfg.gpu, cfg.trainer.accelerator)
    if warning is not None:
        _tell(warning)


def check_same_data(splits: Splits, settings: Mapping[str, Any]) -> None:
    """Refuse images that changed while the search runs: its scores would not be comparable.

    Args:
        splits: as they are now.
        settings: what the study remembers.

    Raises:
        UserError: they are not those that the search began with.
    """
    if settings.get(CONTENT, splits.fingerprint) != splits.fingerprint:
        raise UserError(
            "the images or labels of data.root were changed during the search; restore them, or "
            "start another study with optuna.study_name=NAME"
        )


def tell_notes(splits: Splits) -> None:
    """Say what a user should know about the data, on the screen and in the log."""
    for note in splits.notes:
        _tell(f"data: {note}")


def check_one_card(cfg: DictConfig, what: str) -> None:
    """Refuse several cards for one of many trainings.

    Lightning starts the whole command again for each card, and with it all the other trainings.

    Args:
        cfg: the whole config.
        what: who gives one card to what, as in "a search gives every trial".

    Raises:
        UserError: several cards, or the strategy for them.
    """
    cards, strategy = cfg.trainer.devices, cfg.trainer.strategy
    if cards == 1 and strategy != "fsdp":
        return
    given = f"trainer.devices={cards}" if cards != 1 else f"trainer.strategy={strategy}"
    raise UserError(
        f"{given}: {what} one card; leave it out. Where a model does not fit, take smaller "
        "data.img_size and data.batch_size, or gpu.checkpointing=true; python -m src.train without "
        "-m may use several cards"
    )


def _tell(text: str) -> None:
    from src.training.several_cards import is_first

    log.warning("%s", text)
    if not is_first():
        return
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)


def check_values(cfg: DictConfig) -> None:
    """Check the numbers of a job, and the names that are chosen from a few.

    Raises:
        UserError: names the key, the value and what to do.
    """
    for key, low in SMALLEST.items():
        value = OmegaConf.select(cfg, key)
        if key == SHARED:
            _check_sharing(value)
        elif value < low:
            raise UserError(f"{key}={value}: must be at least {low}")
    for key in RATES:
        value = OmegaConf.select(cfg, key)
        if value <= 0:
            raise UserError(f"{key}={value}: must be more than 0")
    for key in SHARES:
        value = OmegaConf.select(cfg, key)
        if not 0 <= value < 1:
            raise UserError(f"{key}={value}: must be from 0 up to, not including, 1")
    for key, choices in CHOICES.items():
        value = OmegaConf.select(cfg, key)
        if value not in choices:
            raise UserError(f"{key}={value}: choose {', '.join(choices)}")
    micro_batch = cfg.trainer.micro_batch_size
    if micro_batch is not None and micro_batch < 1:
        raise UserError(f"trainer.micro_batch_size={micro_batch}: must be at least 1, or null")
    _check_batch(cfg)
    # Imported here, as they bring torch along.
    from src.training.several_cards import check_several_cards
    from src.trial.forecast import check_room

    check_several_cards(cfg)
    check_room(cfg.gpu)


def _check_sharing(value: Any) -> None:
    if isinstance(value, str) and value != AUTO:
        raise UserError(f"{SHARED}={value}: must be a number or {AUTO}")
    if value != AUTO and value < SMALLEST[SHARED]:
        raise UserError(f"{SHARED}={value}: must be at least {SMALLEST[SHARED]}")


def _check_batch(cfg: DictConfig) -> None:
    largest = cfg.gpu.max_batch_size
    for key in ("data.batch_size", "quick_validation.batch_size_override"):
        size = OmegaConf.select(cfg, key)
        if size is not None and size > largest:
            raise UserError(
                f"{key}={size}: gpu={cfg.gpu.name} is safe up to {largest}; "
                "lower it, or raise gpu.max_batch_size if you know better"
            )
