"""What of Lightning's Trainer may go into `trainer.kwargs`, and what would give wrong scores there.

A run's schedule, scores and files count on whole epochs, validated at their end on all images. A
trial is compared epoch by epoch besides, and keeps a prediction of every image.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig

from doctune.errors import UserError
from doctune.words import nearest

# Set by a key of its own.
OWN = {
    "accelerator": "set trainer.accelerator",
    "accumulate_grad_batches": "set trainer.accumulate_grad_batches",
    "callbacks": "the group callbacks has what there is",
    "default_root_dir": "set paths.output_dir",
    "devices": "set trainer.devices",
    "enable_checkpointing": "set callbacks.checkpoint",
    "log_every_n_steps": "set trainer.log_every_n_steps",
    "logger": "choose one, as in logger=tensorboard",
    "max_epochs": "set trainer.max_epochs, or quick_validation.epochs in a search",
    "precision": "set trainer.precision",
    "strategy": "set trainer.strategy",
}
# Would be wrong without a word, or do nothing.
NEVER = {
    "barebones": "logs no scores; leave it out",
    "fast_dev_run": "scores, and writes down, a single batch; to try whether all runs give "
    "trainer.max_epochs=1 and +trainer.kwargs.limit_train_batches=2",
    "limit_predict_batches": "nothing is predicted by the Trainer; leave it out",
    "limit_test_batches": "the scores of a run are those of all images; leave it out",
    "max_steps": "would end the run before its schedule does; set trainer.max_epochs, or "
    "+trainer.kwargs.limit_train_batches, which the schedule knows of",
    "min_steps": "the length of a run is trainer.max_epochs; leave it out",
    "num_nodes": "data.batch_size is shared out over the cards of one machine; leave it out",
    "overfit_batches": "batches are drawn anew in every epoch, so it would not be the same ones; "
    "take a folder with few images instead",
    "sync_batchnorm": "takes the activations that timm puts into batch norm away; leave it out",
}
IN_A_SEARCH = {
    "check_val_every_n_epoch": "a trial is scored after every epoch",
    "limit_val_batches": "a trial is scored on all images of a fold; more folds make them fewer",
    "max_time": "trials of different length cannot be compared; set optuna.trial_timeout, which "
    "ends one as pruned",
    "val_check_interval": "a trial is scored once an epoch, at the same step as all others",
}
# Right in every run, or told by Lightning.
FREE = (
    *("benchmark", "deterministic", "detect_anomaly", "inference_mode", "plugins", "profiler"),
    *("enable_autolog_hparams", "enable_model_summary", "enable_progress_bar", "model_registry"),
    *("gradient_clip_algorithm", "gradient_clip_val", "limit_train_batches", "min_epochs"),
    *("num_sanity_val_steps", "reload_dataloaders_every_n_epochs", "use_distributed_sampler"),
)


def check_trainer_arguments(cfg: DictConfig, *, in_search: bool) -> None:
    """Refuse arguments in `trainer.kwargs` that would give wrong scores, or none.

    Args:
        cfg: the whole config.
        in_search: of trials, not of a run in full.

    Raises:
        UserError: names the key, the value and what to do.
    """
    known = inspect.signature(pl.Trainer).parameters
    given: Mapping[str, Any] = cfg.trainer.kwargs
    for name, value in given.items():
        key = f"trainer.kwargs.{name}={_as_typed(value)}"
        if name not in known:
            near = nearest(str(name), known)
            hint = f"did you mean {near[0]}?" if near else "leave it out"
            raise UserError(f"{key}: Lightning's Trainer has no such argument; {hint}")
        if name in OWN:
            raise UserError(f"{key}: {OWN[name]}")
        # As it is without it, booleans and numbers told apart.
        if value == known[name].default and isinstance(value, bool) == isinstance(
            known[name].default, bool
        ):
            continue
        if name in NEVER:
            raise UserError(f"{key}: {NEVER[name]}")
        if in_search and name in IN_A_SEARCH:
            raise UserError(f"{key}: {IN_A_SEARCH[name]}; leave it out of a search")
        reason = _wrong_value(name, value, cfg)
        if reason is not None:
            raise UserError(f"{key}: {reason}")


def _wrong_value(name: str, value: Any, cfg: DictConfig) -> str | None:
    """Return why an argument that may be given cannot have that value."""
    clipped, epochs = cfg.callbacks.gradient_clip_norm, cfg.trainer.max_epochs
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in ("limit_train_batches", "limit_val_batches"):
        if value is not None and not (is_number and value > 0):
            return "must be a number of batches, 1 or more, or a share up to 1.0"
    elif name == "gradient_clip_val":
        if value is not None and clipped is not None:
            return (
                f"gradients are clipped by callbacks.gradient_clip_norm={clipped} already; set "
                "that, or set it to null"
            )
    elif name == "check_val_every_n_epoch":
        if not is_number or not 1 <= value <= epochs:
            return f"must be from 1 up to trainer.max_epochs={epochs}, or nothing is ever scored"
    elif name == "val_check_interval" and not (isinstance(value, float) and 0 < value <= 1):
        return "give a share of an epoch, as in 0.5"
    return None


def _as_typed(value: Any) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def batches_trained(trainer: pl.Trainer, batches: int) -> int:
    """Return how many batches of an epoch are trained on.

    Args:
        trainer: perhaps with `limit_train_batches`, a number or a share of them.
        batches: that there are.

    Raises:
        UserError: the share is less than one batch.
    """
    limit: Any = trainer.limit_train_batches
    count = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    if count == 0:
        raise UserError(
            f"trainer.kwargs.limit_train_batches={limit}: an epoch has {batches} batches, of which "
            "that leaves none; raise it, or lower data.batch_size"
        )
    return count
