"""How names, values and times are written, and the nearest valid name to a misspelt one."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from omegaconf import DictConfig

# Longer lists say nothing to a reader.
MOST_LISTED = 15
# What other programs and papers call it -> what it is called here, by the last part of a key or
# by a whole one: timm's scripts, Ultralytics, Hugging Face's Trainer, lightning-hydra-template,
# Ray, Kaggle's notebooks.
OTHER_NAMES = {
    "lr": "learning_rate lr0 base_lr max_lr peak_lr eta eta0 init_lr initial_lr step_size",
    "weight_decay": "wd decay l2 weight_decay_rate",
    "max_epochs": "epochs epoch n_epochs num_epochs max_epoch nepochs num_train_epochs",
    "batch_size": "bs batch batchsize train_batch_size per_device_train_batch_size",
    "img_size": "imgsz image_size imsize input_size resolution img_sz size crop_size",
    "drop_rate": "dropout drop dropout_rate p_dropout",
    "drop_path_rate": "drop_path droppath stochastic_depth",
    "label_smoothing": "smoothing label_smooth ls",
    "mixup_alpha": "mixup",
    "gradient_clip_norm": "clip_grad grad_clip max_grad_norm gradient_clip_val clip_norm",
    "warmup_epochs": "warmup warmup_steps num_warmup_epochs num_warmup_steps warmup_ratio",
    "min_lr_ratio": "min_lr eta_min lrf",
    "accumulate_grad_batches": "accum_iter grad_accum gradient_accumulation_steps accumulate",
    "model.name": "arch architecture backbone encoder model_name net network",
    "model.checkpoint_path": "ckpt ckpt_path weights checkpoint resume pretrained_path",
    "model.pretrained": "imagenet pretrain",
    "optimizer.name": "opt optim",
    "scheduler.name": "sched lr_scheduler",
    "data.root": "data_dir data_path dataset dataset_path train_dir root_dir image_root path",
    "data.csv_file": "csv train_csv table",
    "trainer.precision": "amp fp16 half bf16 mixed_precision",
    "trainer.accelerator": "device",
    "trainer.devices": "gpus n_gpus num_gpus ngpu",
    "trainer.strategy": "strategy parallelism",
    "quick_validation.folds": "n_splits n_folds k_folds kfold kfolds num_folds cv fold",
    "optuna.n_trials": "trials max_trials num_trials max_evals num_samples",
    "optuna.timeout": "time_limit max_time time_budget time_budget_s",
    "optuna.n_jobs": "jobs max_concurrent max_concurrent_trials concurrency",
    "optuna.objectives": "metric monitor objective optimized_metric",
    "optuna.storage": "db db_url storage_url database",
    "optuna.study_name": "study experiment_name run_name",
    "paths.output_dir": "out_dir save_dir log_dir output",
    "seed": "random_state random_seed manual_seed",
}
NAMES_HERE = {other: here for here, others in OTHER_NAMES.items() for other in others.split()}


def is_worked_out(value: Any) -> bool:
    """Tell whether a value of a config is `${resolver:...}`, a colon behind its name.

    A function of the app works it out then, which may take its time.
    """
    name = str(value).partition("${")[2].partition("}")[0]
    return ":" in name


def nearest(name: str, names: Iterable[str], most: int = 1, alike: float = 0.6) -> list[str]:
    """Return which names may be meant by a misspelt one, the nearest first, whatever their case.

    Args:
        name: as typed.
        names: all that there are.
        most: how many to return.
        alike: how alike they have to be, up to 1 for equal ones.
    """
    lower = {other.lower(): other for other in reversed(list(names))}
    return [lower[near] for near in difflib.get_close_matches(name.lower(), lower, most, alike)]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean X?`, or what names are known where none is near.

    A name without dots is compared with the last parts of dotted names as well.
    """
    known = list(names)
    lower = {other.lower(): other for other in reversed(known)}
    name = name.lower().replace("/", ".") if name.lower() not in lower else name.lower()
    close = [lower[name]] if "." in name and name in lower else nearest(name, known)
    if not close:
        by_last_part = {other.rsplit(".", 1)[-1]: other for other in reversed(known)}
        close = [by_last_part[last] for last in nearest(name.rsplit(".", 1)[-1], by_last_part)]
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known are {', '.join(known)}" if len(known) <= MOST_LISTED else ""


def other_name(name: str, keys: Iterable[str]) -> str | None:
    """Return the key that other programs call so, None where there is none of that meaning.

    Args:
        name: as typed, `optimizer.learning_rate` or `wd`.
        keys: all that there are; of several with that last part, one in the same section.
    """
    above, _, last = name.rpartition(".")
    here = NAMES_HERE.get(last.lower().replace("-", "_"))
    if here is None:
        return None
    found = [key for key in keys if key == here or key.endswith(f".{here}")]
    return min(found, key=lambda key: key.rpartition(".")[0] != above, default=None)


def dotted_keys(config: DictConfig, prefix: str = "") -> list[str]:
    """Return every key of a config and its sections, `optimizer` as well as `optimizer.lr`."""
    found = []
    for key in map(str, config):
        found.append(prefix + key)
        node = config._get_node(key)
        if isinstance(node, DictConfig) and not node._is_none() and not node._is_missing():
            found += dotted_keys(node, f"{prefix}{key}.")
    return found


def settings_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a trial's parameters set: config key -> value."""
    return {key_of(name): value for name, value in params.items()}


def key_of(name: str) -> str:
    """Return the config key that a parameter sets: `optimizer.lr` for `optimizer.lr[swin_base]`."""
    return name.partition("[")[0]


def short(name: str) -> str:
    """Return the last part of a parameter's key, as it is known in tables: `lr` of `optimizer.lr`.

    What stands in brackets stays whole: `lr[a.b]` of `optimizer.lr[a.b]`.
    """
    key = key_of(name)
    return key.rsplit(".", 1)[-1] + name[len(key) :]


def show(value: Any) -> str:
    """Write a parameter's value in a few digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def score(value: float) -> str:
    """Write a score, or another objective such as seconds, in as many digits as it deserves."""
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.1f}"


def counted(count: int, noun: str) -> str:
    """Return `1 trial` or `2 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def duration(seconds: float) -> str:
    """Write a time as `45 s`, `2 min 05 s`, from 10 minutes on `12 min`, then `3 h 05 min`."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 10:
        return f"{minutes} min {rest:02d} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes:02d} min" if minutes else f"{hours} h"


def clock(seconds: float) -> str:
    """Write a time as `m:ss` or `h:mm:ss`, where it counts down and must keep its width."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
