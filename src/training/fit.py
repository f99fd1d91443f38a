"""One training run: model, batches and Lightning's Trainer put together."""

import logging
import math
import time
import warnings
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger
from torch import nn

from doctune.errors import NO_ROOM, UserError, first_line
from src.data.image_set import ImageSet
from src.data.loader import BatchLoader
from src.training.batch_norm import has_batch_norm
from src.training.callbacks import EpochLines, GradientClipping
from src.training.card_rules import card_batch
from src.training.depthwise import own_kernels_pay, use_own_kernels
from src.training.distribution import end_others, make_strategy
from src.training.exact_statistics import ExactStatistics, statistics_loader
from src.training.module import Classifier
from src.training.trainer_arguments import batches_trained

log = logging.getLogger(__name__)

# Validation keeps no gradients, so larger batches fit: a layer's own values are all it holds, where
# training holds those of all layers. On a card small batches leave it waiting for Python, so there
# as many as are worth a launch are scored, where no blocks are computed again for want of memory.
EVALUATION_BATCHES, MOST_EVALUATION_BATCHES = 2, 8
WORTH_A_LAUNCH = 128

# Lightning's advice that does not apply: batches come from memory, without worker processes.
CHATTER = (
    ".*does not have many workers.*",
    ".*is smaller than the logging interval.*",
    # The run's folder holds its config already.
    ".*exists and is not empty.*",
    # About Lightning's own use of torch.
    ".*LeafSpec.*",
    # torchmetrics has put the cards' shares together; the loaders give each card its own.
    ".*recommended to use.*sync_dist=True.*",
    ".*it is recommended to use `Trainer\\(devices=1.*",
    # Where Slurm is installed: one card needs no `srun`.
    ".*`srun` command is available.*",
)
# What a run shows is ours; `trainer.kwargs` may ask for these.
QUIET = {"enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}


@dataclass
class FitResult:
    """A finished training run."""

    module: Classifier
    trainer: pl.Trainer
    # Macro-F1 on the validation set after the last epoch.
    f1: float
    # Weights of the best epoch; None where none were kept.
    checkpoint: Path | None
    # Those of the best epoch where the disk had no room for them.
    weights: dict[str, torch.Tensor] | None
    seconds: float


def fit(
    cfg: DictConfig,
    train: ImageSet,
    val: ImageSet,
    *,
    max_epochs: int,
    seed: int,
    output_dir: Path | None,
    logger: Logger | None = None,
    callbacks: Sequence[pl.Callback] = (),
    decided_after: Container[int] | None = None,
) -> FitResult:
    """Train a fresh model.

    Args:
        cfg: the whole config.
        train: what is trained on.
        val: what is scored after every epoch.
        max_epochs: length of the run, and of its learning-rate schedule.
        seed: of weights, order of batches, dropout and augmentation.
        output_dir: for the checkpoint; None leaves no file and prints nothing.
        logger: where the curves go, see `src/training/run_log.py`.
        callbacks: more of Lightning's callbacks.
        decided_after: the epochs, from 1 on, whose scores decide something; after the others batch
            norm's statistics are over `quick_validation.precise_bn` images. None: all do.
    """
    _quiet_lightning()
    pl.seed_everything(seed, verbose=False)
    size = cfg.data.batch_size
    before_scoring = _exact_statistics(cfg, train, seed, decided_after)
    trainer = make_trainer(cfg, max_epochs, output_dir, logger, [*before_scoring, *callbacks])
    device = trainer.strategy.root_device
    part = trainer.global_rank, trainer.world_size
    batches = BatchLoader(
        train,
        size,
        shuffle=True,
        balanced=cfg.data.sampling == "balanced",
        seed=seed,
        drop_last=True,
        part=part,
        device=device,
    )
    # Lightning steps at the end of an epoch too, with what has been accumulated by then.
    count = batches_trained(trainer, len(batches))
    steps = math.ceil(count / cfg.trainer.accumulate_grad_batches)
    # Lightning's own attribute, which its types leave out; short epochs would log nothing at all.
    untyped: Any = trainer
    untyped.log_every_n_steps = max(1, min(cfg.trainer.log_every_n_steps, steps))
    module = Classifier(cfg, train.classes, steps, max_epochs, train.labels)
    if cfg.trainer.depthwise == "auto" and own_kernels_pay(cfg, count * max_epochs, device):
        use_own_kernels(module.model)
    if device.type == "cuda":
        module.scored_at_a_time = evaluation_batch(cfg) // cfg.trainer.devices
    started = time.monotonic()
    _tell_of_batch_norm(cfg, module.model)
    scored = BatchLoader(val, evaluation_batch(cfg), shuffle=False, part=part, device=device)
    try:
        trainer.fit(module, batches, scored)
    except MisconfigurationException as error:
        end_others(trainer)
        raise UserError(f"trainer: {first_line(error)}") from error
    except BaseException:
        end_others(trainer)
        raise
    if "val/f1" not in trainer.callback_metrics:
        raise UserError(
            f"trainer.kwargs={dict(cfg.trainer.kwargs)}: the run ended before anything was scored; "
            "give it longer"
        )
    keeper = trainer.checkpoint_callback
    best = getattr(keeper, "best_model_path", "")
    in_memory = getattr(keeper, "in_memory", None)
    return FitResult(
        module=module,
        trainer=trainer,
        f1=float(trainer.callback_metrics["val/f1"]),
        checkpoint=Path(best) if best and in_memory is None else None,
        weights=in_memory,
        seconds=time.monotonic() - started,
    )


class BestWeights(ModelCheckpoint):
    """Keeps the weights of the best epoch: in a file, in memory where the disk is full.

    Hours of training are worth their scores even so.
    """

    in_memory: dict[str, torch.Tensor] | None = None

    def _save_checkpoint(self, trainer: pl.Trainer, filepath: str) -> None:
        try:
            super()._save_checkpoint(trainer, filepath)
        except OSError as error:
            if error.errno not in NO_ROOM or trainer.world_size > 1:
                raise
            log.warning("%s: %s; the weights are kept in memory", filepath, error.strerror)
            # Half a file, which was the last best one before.
            Path(filepath).unlink(missing_ok=True)
            module = trainer.lightning_module
            self.in_memory = {k: v.detach().cpu().clone() for k, v in module.state_dict().items()}
        else:
            self.in_memory = None


def _exact_statistics(
    cfg: DictConfig, train: ImageSet, seed: int, decided_after: Container[int] | None
) -> list[pl.Callback]:
    if not cfg.trainer.precise_bn:
        return []
    at_a_time = evaluation_batch(cfg) // cfg.trainer.devices
    most = cfg.trainer.precise_bn
    batches, between = (
        statistics_loader(train, count, at_a_time, seed) if count else ()
        for count in (most, min(most, cfg.quick_validation.precise_bn))
    )
    return [ExactStatistics(batches, between, decided_after)]


def _tell_of_batch_norm(cfg: DictConfig, model: nn.Module) -> None:
    size = cfg.data.batch_size
    seen = min(card_batch(cfg), cfg.trainer.micro_batch_size or size)
    if seen < size and has_batch_norm(model):
        log.info(
            "batch norm sees %d images at a time instead of %d, so this run is not quite the same "
            "as with the whole batch",
            seen,
            size,
        )


def evaluation_batch(cfg: DictConfig) -> int:
    """Return how many images at a time are scored, on all cards together."""
    size, most = card_batch(cfg), cfg.trainer.micro_batch_size
    at_a_time = size if most is None else min(most, size)
    return int(cfg.trainer.devices) * scored_at_a_time(cfg, at_a_time)


def scored_at_a_time(cfg: DictConfig, trained: int) -> int:
    """Return how many images a card scores at a time that trains so many.

    On a card it is the same whatever batch a search tries, as each new shape costs seconds there.
    """
    if not cfg.gpu.memory_gb:
        return EVALUATION_BATCHES * trained
    smallest = int(min(cfg.gpu.batch_sizes))
    if trained < smallest or cfg.model.grad_checkpointing:
        return EVALUATION_BATCHES * int(min(trained, smallest))
    worth = max(EVALUATION_BATCHES * smallest, WORTH_A_LAUNCH)
    return min(worth, MOST_EVALUATION_BATCHES * smallest)


def make_trainer(
    cfg: DictConfig,
    max_epochs: int,
    output_dir: Path | None = None,
    logger: Logger | None = None,
    callbacks: Sequence[pl.Callback] = (),
) -> pl.Trainer:
    """Make Lightning's Trainer; arguments as for `fit`.

    Raises:
        UserError: Lightning refuses the `trainer` group.
    """
    own = cfg.trainer
    arguments: dict[str, Any] = dict(
        max_epochs=max_epochs,
        accelerator=own.accelerator,
        devices=own.devices,
        precision=own.precision,
        strategy=make_strategy(own),
        accumulate_grad_batches=own.accumulate_grad_batches,
        log_every_n_steps=own.log_every_n_steps,
        callbacks=[*callbacks, *_callbacks(cfg.callbacks, output_dir)],
        logger=logger or False,
        default_root_dir=output_dir,
        enable_checkpointing=output_dir is not None and cfg.callbacks.checkpoint,
        **{**QUIET, **own.kwargs},
    )
    if own.devices == 1:
        # Lightning would count the tasks of a Slurm allocation, or miss `srun` where there is one.
        arguments.setdefault("plugins", [LightningEnvironment()])
    try:
        return pl.Trainer(**arguments)
    except (ValueError, TypeError, MisconfigurationException) as error:
        raise UserError(f"trainer: {first_line(error)}") from error


def _callbacks(cfg: DictConfig, output_dir: Path | None) -> Iterator[pl.Callback]:
    """Make those of the `callbacks` group; without a folder nothing is kept or told."""
    if cfg.gradient_clip_norm is not None:
        yield GradientClipping(cfg.gradient_clip_norm)
    if output_dir is not None and cfg.checkpoint:
        yield BestWeights(
            output_dir,
            "best",
            monitor="val/f1",
            mode="max",
            save_weights_only=True,
            # A run that starts again replaces the file.
            enable_version_counter=False,
        )
    if output_dir is not None and cfg.progress:
        yield EpochLines()


def _quiet_lightning() -> None:
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Retries of a download; if none succeeds, that is a UserError.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    for message in CHATTER:
        warnings.filterwarnings("ignore", message)
