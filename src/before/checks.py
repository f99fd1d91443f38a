"""What is checked before any training starts, for a single run and for a whole search."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from doctune.commands import task_overrides
from doctune.errors import UserError
from doctune.hydra_messages import dangling
from doctune.launcher.workers.beside import call_beside
from doctune.launcher.workers.fork_server import ForkServer
from doctune.launcher.workers.packing import JobNeeds
from doctune.study.keys import StudyKeys
from src.before.elsewhere import is_elsewhere, notes_on_machines
from src.before.models import check_models, fetch_weights
from src.before.needs import job_needs
from src.before.notes import tell, tell_all, tell_notes, tell_pages_to_come
from src.before.objectives import check_objectives
from src.before.reading import Reading, splits_of
from src.before.same_in_all import compared
from src.before.told_of_length import notes_on_length
from src.before.typed_keys import check_typed_keys
from src.before.untrusted_config import check_environment
from src.before.values import check_values
from src.data.folds import check_enough, notes_on_folds, stratified_folds
from src.data.load import check_listing
from src.data.splits import Splits
from src.data.wear_presets import check_one_wear, notes_on_wear
from src.hardware.profile import check_device, check_jobs, differing_card
from src.training.logger_needs import check_logger, prepare_logger
from src.training.model_names import check_known

# What conf/hydra/sweeper/optuna_async.yaml calls the fingerprint of the data.
CONTENT = "content of the images and splits"

EACH_TRIAL = "a search gives every trial"
# Resolvers that bring timm along, and torch with it. Nobody types them; what the files of `conf/`
# give them is looked at when their answers are needed.
ASK_TIMM = ("img_size", "poolings", "without_effect")
# They do nothing in a training run, but for the one that asks for it.
SEARCH_KEYS = tuple(f"optuna.{key.name}=" for key in fields(StudyKeys) if key.name != "enabled")


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
    tell_all(check_typed_keys(cfg, task_overrides(HydraConfig.get())))
    _check_model_at_once(cfg)
    check_logger(cfg.logger)
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
    tell_all(notes_on(cfg.model, cfg.data.img_size))
    if not is_file:
        check_weights(cfg.model, cfg.data.img_size)
    from src.training.trainer_arguments import check_trainer_arguments

    prepare_logger(cfg.logger)
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


def check_at_once(cfg: DictConfig, jobs: Iterable[DictConfig]) -> Reading:
    """Check what a search needs as far as it can be told at once, without torch.

    Returns what reads the images, in the background, as soon as it is entered.

    Args:
        cfg: the config of the search.
        jobs: configs of jobs that between them hold every choice and both ends of every range;
            each takes a fifth of a second to compose.

    Raises:
        UserError: names the key, the value and what to do.
    """
    # Of the launcher's, if it is one that has workers, by now.
    ForkServer.end_ahead()
    check_environment()
    check_references(cfg)
    jobs = compared(jobs)
    choices = HydraConfig.get().runtime.choices if HydraConfig.initialized() else {}
    if HydraConfig.initialized() and is_elsewhere(HydraConfig.get()):
        # Each job looks at the card of its own machine.
        typed = [word.partition("=")[0] for word in task_overrides(HydraConfig.get())]
        tell_all(list(notes_on_machines(cfg, choices, typed)))
    else:
        _check_card(cfg)
    if choices.get("hydra/launcher") == "local_workers":
        check_jobs(cfg.gpu, cfg.trainer.accelerator, cfg.optuna.n_jobs)
    check_objectives(cfg)
    check_one_card(cfg, EACH_TRIAL)
    check_values(cfg, ask_timm=False)
    if HydraConfig.initialized():
        tell_all(check_typed_keys(cfg, task_overrides(HydraConfig.get())))
    _check_model_at_once(cfg)
    check_logger(cfg.logger)
    check_enough(check_listing(cfg.data), cfg.quick_validation.folds)
    for job in jobs:
        check_one_card(job, EACH_TRIAL)
        check_values(job, ask_timm=False)
        _check_model_at_once(job)
    return Reading(cfg.data)


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
    jobs = jobs or [cfg]
    for job in [cfg, *jobs]:
        check_values(job)
    check_one_wear(jobs)
    tell_all(call_beside(check_models, cfg, jobs))
    prepare_logger(cfg.logger)
    tell_all(notes_on_wear(cfg, jobs))
    splits = splits_of(cfg.data)
    tell_notes(splits)
    tell_pages_to_come(cfg)
    train, quick = splits.train, cfg.quick_validation
    cut = (train.labels, quick.folds, cfg.data.seed, train.groups, train.classes)
    # Its trials find it there.
    where = cfg.data.cache_dir if train.stored_as else None
    for note in notes_on_folds(stratified_folds(*cut, cache_dir=where), *cut):
        tell(f"quick_validation.folds: {note}")
    tell_all(notes_on_length(cfg, len(train), _batches(cfg, jobs)))
    # Last, as they may have to be fetched: now and not by every worker at once.
    call_beside(fetch_weights, jobs)
    return call_beside(job_needs, cfg, jobs, len(train), len(train.classes))


def _batches(cfg: DictConfig, jobs: Sequence[DictConfig]) -> set[int]:
    override = cfg.quick_validation.batch_size_override
    return {override} if override else {job.data.batch_size for job in jobs}


def check_references(cfg: DictConfig) -> None:
    """Refuse values that refer to keys that there are not.

    Raises:
        UserError: names the first.
    """
    told = dangling(cfg, ASK_TIMM)
    if told is not None:
        raise UserError(told)


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
        tell(warning)


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
