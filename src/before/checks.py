"""What is checked before any training starts, for a single run and for a whole search."""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from doctune.commands import task_overrides
from doctune.errors import UserError
from doctune.hydra_messages import dangling
from doctune.launcher.packing import JobNeeds
from doctune.study.keys import StudyKeys
from doctune.words import did_you_mean
from src.before.elsewhere import is_elsewhere, notes_on_machines
from src.before.objectives import check_objectives
from src.before.same_in_all import compared
from src.before.sizes import told_if_bounded
from src.before.trial_length import told_if_longer
from src.before.typed_keys import check_typed_keys
from src.before.untrusted_config import check_environment
from src.data.folds import notes_on_folds, stratified_folds
from src.data.load import check_listing, load_splits
from src.data.splits import Splits
from src.data.wear_presets import check_one_wear, notes_on_wear, wear_of
from src.hardware.config import AUTO
from src.hardware.detect import cards
from src.hardware.profile import check_device, check_jobs, differing_card
from src.training.card_rules import check_several_cards, is_first
from src.training.model_names import check_known
from src.training.room import check_room

log = logging.getLogger(__name__)

# What conf/hydra/sweeper/optuna_async.yaml calls the fingerprint of the data.
CONTENT = "content of the images and splits"

CHOICES = {
    "trainer.accelerator": ["auto", "cpu", "cuda", "gpu", "mps"],
    "trainer.precision": ["32-true", "16-mixed", "bf16-mixed", "bf16-true", "16-true", "64-true"],
    "trainer.depthwise": ["auto", "cudnn", "torch"],
    "loss.class_weights": ["none", "balanced"],
    "scheduler.name": ["cosine", "constant"],
    "logger.name": ["csv", "tensorboard", "mlflow", "wandb", "none"],
}

# Key -> smallest value that makes sense.
SMALLEST = {
    "trainer.max_epochs": 1,
    "trainer.devices": 1,
    "trainer.precise_bn": 0,
    "quick_validation.epochs": 1,
    "quick_validation.folds": 1,
    "quick_validation.min_steps": 0,
    "quick_validation.wear_draws": 1,
    "pruning.patience": 0,
    "pruning.n_startup_trials": 0,
    "optimizer.weight_decay": 0,
    "scheduler.warmup_epochs": 0,
    "augment.mixup_alpha": 0,
    "augment.strength": 0,
    "gpu.trials_per_device": 1,
    "gpu.memory_gb": 0,
    "gpu.usable_gb": 0,
    "gpu.max_batch_size": 1,
}
# These may have to be worked out, from the images or with timm, which takes its time.
IMG_SIZE = "data.img_size"
SMALLEST_SIZES = {"data.batch_size": 1, IMG_SIZE: 16}
SHARED = "gpu.trials_per_device"
EACH_TRIAL = "a search gives every trial"
# Resolvers that bring timm along, and torch with it. Nobody types them; what the files of `conf/`
# give them is looked at when their answers are needed.
ASK_TIMM = ("img_size", "poolings", "without_effect")
# With a rate of 0 nothing is learnt, and estimates divide by the others.
ABOVE_ZERO = ("optimizer.lr", "gpu.tflops", "gpu.tflops_float32", "gpu.bandwidth_gb")
# They do nothing in a training run, but for the one that asks for it.
SEARCH_KEYS = tuple(f"optuna.{key.name}=" for key in fields(StudyKeys) if key.name != "enabled")
SHARES = ("model.drop_rate", "model.drop_path_rate", "loss.label_smoothing")
# What people call them, Lightning's own older names among it.
PRECISIONS = {
    **dict.fromkeys(("16", "fp16", "float16", "half", "amp", "mixed", "true"), "16-mixed"),
    **dict.fromkeys(("bf16", "bfloat16"), "bf16-mixed"),
    **dict.fromkeys(("32", "fp32", "float32", "single", "full"), "32-true"),
    **dict.fromkeys(("64", "double", "float64"), "64-true"),
}
# Made for the units of GPUs.
FLOAT16 = ("16-mixed", "16-true")


def check_first(cfg: DictConfig) -> None:
    """Check what a training run needs as far as it can be told at once, without torch.

    Raises:
        UserError: names the key, the value and what to do.
    """
    check_environment()
    check_command(HydraConfig.get())
    check_references(cfg)
    _check_card(cfg)
    check_values(cfg, ask_timm=False)
    _tell_all(check_typed_keys(cfg, task_overrides(HydraConfig.get())))
    _check_model_at_once(cfg)
    check_listing(cfg.data)
    check_values(cfg)


def check_model(cfg: DictConfig) -> None:
    """Check the model, its weights and the logger, for which torch has to be there.

    Raises:
        UserError: names the key, the value and what to do.
    """
    # One after the other, as timm and Lightning take their time to be imported as well.
    from src.training.weights import check_file

    # A file is here; others may have to be fetched, so they come last.
    is_file = cfg.model.checkpoint_path is not None
    if is_file:
        check_file(cfg.model.checkpoint_path)
    from src.training.backbone import check_backbone, check_weights

    check_backbone(cfg.model, cfg.data.img_size)
    if is_file:
        check_weights(cfg.model, cfg.data.img_size)
    from src.training.model_notes import check_acting, notes_on
    from src.training.optimizer import check_optimizer

    check_acting(cfg.model, cfg.data.img_size)
    check_optimizer(cfg.optimizer, cfg.trainer.precision)
    _tell_all(notes_on(cfg.model, cfg.data.img_size))
    if not is_file:
        check_weights(cfg.model, cfg.data.img_size)
    from src.training.loggers import check_logger
    from src.training.trainer_arguments import check_trainer_arguments

    check_logger(cfg.logger)
    check_trainer_arguments(cfg, in_search=False)


def check_run(cfg: DictConfig) -> None:
    """Check what a training needs that another door starts.

    Raises:
        UserError: names the key, the value and what to do.
    """
    _check_card(cfg)
    check_values(cfg)
    check_model(cfg)


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
    of_searches = [word for word in task_overrides(hydra) if word.startswith(SEARCH_KEYS)]
    if of_searches and not preset and hydra.sweeper._target_.endswith(".BasicSweeper"):
        raise UserError(
            f"{of_searches[0]}: belongs to a search; choose one, as in "
            "python -m src.train -m hparams_search=fast"
        )


def check_at_once(cfg: DictConfig, jobs: Iterable[DictConfig]) -> None:
    """Check what a search needs as far as it can be told at once, without torch.

    Args:
        cfg: the config of the search.
        jobs: configs of jobs that between them hold every choice and both ends of every range;
            each takes a fifth of a second to compose.

    Raises:
        UserError: names the key, the value and what to do.
    """
    check_environment()
    check_references(cfg)
    jobs = compared(jobs)
    choices = HydraConfig.get().runtime.choices if HydraConfig.initialized() else {}
    if HydraConfig.initialized() and is_elsewhere(HydraConfig.get()):
        # Each job looks at the card of its own machine.
        typed = [word.partition("=")[0] for word in task_overrides(HydraConfig.get())]
        _tell_all(list(notes_on_machines(cfg, choices, typed)))
    else:
        _check_card(cfg)
    if choices.get("hydra/launcher") == "local_workers":
        check_jobs(cfg.gpu, cfg.trainer.accelerator, cfg.optuna.n_jobs)
    check_objectives(cfg)
    check_one_card(cfg, EACH_TRIAL)
    check_values(cfg, ask_timm=False)
    if HydraConfig.initialized():
        _tell_all(check_typed_keys(cfg, task_overrides(HydraConfig.get())))
    _check_model_at_once(cfg)
    check_listing(cfg.data)
    for job in jobs:
        check_one_card(job, EACH_TRIAL)
        check_values(job, ask_timm=False)
        _check_model_at_once(job)


def check_search(cfg: DictConfig, jobs: Sequence[DictConfig]) -> JobNeeds | None:
    """Check the models of a search, and decode the data once for all its trials.

    What can be told without them has been, by `check_at_once`.

    Returns what a launcher should know that packs several trials on a card.

    Args:
        cfg: the config of the search.
        jobs: configs of jobs that between them hold every choice and both ends of every range.

    Raises:
        UserError: names the key, the value and what to do.
    """
    for job in [cfg, *jobs]:
        check_values(job)
    check_one_wear(jobs)
    # Imported here, as they bring torch along.
    from src.training.backbone import check_backbone, check_weights
    from src.training.model_notes import check_acting
    from src.training.optimizer import check_optimizer

    for job in jobs or [cfg]:
        check_optimizer(job.optimizer, job.trainer.precision)
    # Most jobs differ in what does not concern the model's shape.
    shapes = {f"{job.data.img_size} {job.model}": job for job in jobs or [cfg]}
    for job in shapes.values():
        check_backbone(job.model, job.data.img_size)
        check_acting(job.model, job.data.img_size)
    for note in dict.fromkeys(note for job in jobs or [cfg] for note in notes_on_model(job)):
        _tell(note)
    from src.training.loggers import check_logger
    from src.training.trainer_arguments import check_trainer_arguments

    check_logger(cfg.logger)
    for job in jobs or [cfg]:
        check_trainer_arguments(job, in_search=True)
    _tell_all(notes_on_wear(cfg, jobs or [cfg]))
    splits = load_splits(cfg.data)
    tell_notes(splits)
    _tell_pages_to_come(cfg)
    train, quick = splits.train, cfg.quick_validation
    cut = (train.labels, quick.folds, cfg.data.seed, train.groups, train.classes)
    for note in notes_on_folds(stratified_folds(*cut), *cut):
        _tell(f"quick_validation.folds: {note}")
    batches = _batches(cfg, jobs)
    told = told_if_bounded(cfg, batches), told_if_longer(cfg, len(train), max(batches))
    _tell_all([note for note in told if note is not None])
    # Last, as they may have to be fetched: now and not by every worker at once.
    sources = ("name", "pretrained", "checkpoint_path")
    models = {str([job.model[key] for key in sources]): job for job in jobs or [cfg]}
    for job in models.values():
        check_weights(job.model, job.data.img_size)
    from src.before.needs import job_needs

    return job_needs(cfg, jobs, train)


def _batches(cfg: DictConfig, jobs: Sequence[DictConfig]) -> set[int]:
    override = cfg.quick_validation.batch_size_override
    return {override} if override else {job.data.batch_size for job in jobs or [cfg]}


def check_references(cfg: DictConfig) -> None:
    """Refuse values that refer to keys that there are not.

    Raises:
        UserError: names the first.
    """
    told = dangling(cfg, ASK_TIMM)
    if told is not None:
        raise UserError(told)


def notes_on_model(job: DictConfig) -> list[str]:
    """Return what is different in a job's model from what its keys and the search space say."""
    from src.training.model_notes import notes_on

    entries: Any = OmegaConf.to_container(job.search_space, resolve=False)
    searched = [entry["key"] for entry in entries.values() if entry]
    return notes_on(job.model, job.data.img_size, searched)


def _check_model_at_once(cfg: DictConfig) -> None:
    """Refuse a model that there is not, and a file of weights; what is in it is read with torch."""
    check_known(cfg.model.name)
    file = cfg.model.checkpoint_path
    if file is not None and not Path(file).is_file():
        raise UserError(f"model.checkpoint_path={file}: there is no such file")


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


def _tell_pages_to_come(cfg: DictConfig) -> None:
    """Say how pages to classify differ from those to train on, where they were given."""
    if cfg.data.to_classify is None:
        return
    # Imported here, as it brings torch along.
    from src.data.pages_to_come.gather import comparison
    from src.data.pages_to_come.show import in_lines

    found = comparison(cfg.data)
    _tell_all(in_lines(found) if found else ())


def tell_large_batch(cfg: DictConfig, images: int) -> None:
    """Say so where a batch holds all images, which are then one step an epoch."""
    if cfg.data.batch_size > images:
        _tell(
            f"data.batch_size={cfg.data.batch_size}: there are {images} images to train on, so an "
            "epoch is one step"
        )


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


def _tell_all(notes: Sequence[str]) -> None:
    for note in notes:
        _tell(note)


def _tell(text: str) -> None:
    # Before a search has its log there is no handler, and Python would write the line itself.
    if log.hasHandlers():
        log.warning("%s", text)
    if not is_first():
        return
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)


def check_values(cfg: DictConfig, *, ask_timm: bool = True) -> None:
    """Check the numbers of a job, and the names that are chosen from a few.

    Args:
        cfg: the config of a job.
        ask_timm: whether to check an image size that follows from the model, for which timm, and
            torch with it, has to be imported.

    Raises:
        UserError: names the key, the value and what to do.
    """
    _check_numbers(cfg)
    for key, low in SMALLEST.items():
        value = OmegaConf.select(cfg, key)
        if key == SHARED:
            _check_sharing(value)
        elif value < low:
            raise UserError(f"{key}={value}: must be at least {low}")
    for key in ABOVE_ZERO:
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
            raise UserError(f"{key}={value}: choose {', '.join(choices)}{_near(value, choices)}")
    micro_batch = cfg.trainer.micro_batch_size
    if micro_batch is not None and micro_batch < 1:
        raise UserError(f"trainer.micro_batch_size={micro_batch}: must be at least 1, or null")
    ratio = cfg.scheduler.min_lr_ratio
    if not 0 <= ratio <= 1:
        raise UserError(f"scheduler.min_lr_ratio={ratio}: must be from 0 to 1, a share of the peak")
    wear_of(cfg)
    _check_precision(cfg)
    check_several_cards(cfg)
    check_room(cfg.gpu)
    for key, low in SMALLEST_SIZES.items():
        if key == IMG_SIZE and not ask_timm and OmegaConf.is_interpolation(cfg.data, "img_size"):
            continue
        value = OmegaConf.select(cfg, key)
        if value < low:
            raise UserError(f"{key}={value}: must be at least {low}")
    _check_batch(cfg)


def _near(value: object, choices: Sequence[str]) -> str:
    if value in PRECISIONS and PRECISIONS[str(value)] in choices:
        return f"; did you mean {PRECISIONS[str(value)]}?"
    hint = did_you_mean(str(value), choices)
    return hint if hint.endswith("?") else ""


def _check_numbers(cfg: DictConfig, above: str = "") -> None:
    """Refuse nan and inf, which pass every comparison or none."""
    for key in map(str, cfg):
        node = cfg._get_node(key)
        if isinstance(node, DictConfig):
            # A group may be null.
            if not (node._is_none() or node._is_missing() or node._is_interpolation()):
                _check_numbers(node, f"{above}{key}.")
            continue
        value = getattr(node, "_value", lambda: None)()
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{above}{key}={value}: is no number to work with; give a finite one")


def _check_precision(cfg: DictConfig) -> None:
    """Refuse float16 on a CPU, where Lightning would take bfloat16 in its place.

    The precision of a card's profile stays, as a CPU is then tried in the card's place.
    """
    precision, accelerator = cfg.trainer.precision, cfg.trainer.accelerator
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not cards())
    profiles = OmegaConf.is_interpolation(cfg.trainer, "precision")
    if precision in FLOAT16 and on_cpu and not profiles:
        raise UserError(
            f"trainer.precision={precision}: float16 needs a GPU; on a CPU take 32-true or "
            "bf16-mixed"
        )


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
