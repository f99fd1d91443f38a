"""One job: a trial of a search, or a training run of its own.

Workers import this file before their first trial, and with it torch and timm.
"""

from src.training import quick_imports as quick_imports  # isort: skip  # before timm and Lightning

import contextlib
import errno
import functools
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console

from doctune.errors import NO_ROOM, UserError
from doctune.trial import current_trial
from doctune.words import counted
from src.before.checks import check_same_data
from src.before.notes import tell_large_batch, tell_notes
from src.before.untrusted_config import check_environment
from src.data.load import load_splits
from src.data.wear import as_scored, as_tested
from src.data.wear_presets import wear_of
from src.hardware.profile import check_device
from src.training.card_rules import is_first, train_alone
from src.training.distribution import leave_group
from src.training.evaluate import evaluate, write_run
from src.training.fit import fit
from src.training.loggers import open_run_log
from src.trial.length import length_in_study
from src.trial.out_of_memory import Fitting
from src.trial.quick_validation import cross_validate

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> float | list[float]:
    """Run the job that Hydra composed.

    Returns:
        Macro-F1: of the quick validation for a trial, on the validation split otherwise.
    """
    torch.set_float32_matmul_precision("high")
    train_alone(cfg)
    trial = current_trial()
    if trial is None:
        try:
            return train(cfg, Path(HydraConfig.get().runtime.output_dir))
        except UserError as error:
            # Inside a job Hydra would print a traceback.
            log.error("%s", error)
            sys.exit(str(error))
    check_environment()
    # Only here it is known what the machine of the job has.
    check_device(cfg.gpu, cfg.trainer.accelerator)
    override = cfg.quick_validation.batch_size_override
    if override is not None:
        with open_dict(cfg):
            cfg.data.batch_size = override
    folder = Path(HydraConfig.get().runtime.output_dir)
    entries = [entry.key for entry in cfg.search_space.values() if entry and "key" in entry]
    name, searched = trial.study.study_name, [*trial.searched, *entries]
    with open_run_log(cfg, folder, name, trial.number, searched) as log_to:
        splits = load_splits(cfg.data)
        check_same_data(splits, trial.study.user_attrs.get("settings", {}))
        cfg.quick_validation.epochs = length_in_study(trial.study, cfg, len(splits.train))
        return cross_validate(cfg, splits.train, trial, log_to, folder)


def train(cfg: DictConfig, folder: Path) -> float:
    """Train in full on the train split; evaluate the best epoch on validation and test.

    Under `quick_validation.wear` the epoch that is kept is the best on worn validation pages; both
    splits are evaluated worn and as they are.

    Args:
        cfg: the whole config.
        folder: gets the config, the weights, the curves and the scores.

    Returns:
        Macro-F1 on the validation split, under wear where one is set.
    """
    if is_first():
        OmegaConf.save(cfg, folder / "config.yaml", resolve=True)
    splits = load_splits(cfg.data)
    tell_notes(splits)
    tell_large_batch(cfg, len(splits.train))
    console = Console(quiet=not is_first())
    console.print(
        f"{cfg.model.name} on {len(splits.train)} images of {len(splits.train.classes)} classes, "
        f"{cfg.data.img_size} px, {counted(cfg.trainer.max_epochs, 'epoch')}",
        highlight=False,
    )
    fitting = Fitting(cfg, len(splits.train.classes))
    wear = wear_of(cfg)
    scored = {"validation": splits.val, "test": splits.test}
    if wear is not None:
        scored |= {"validation_worn": as_scored(cfg, splits.val)}
        scored |= {"test_worn": as_tested(cfg, splits.test)}
    val = "validation" if wear is None else "validation_worn"
    with open_run_log(cfg, folder) as log_to:
        result = fitting.fit(
            lambda fitted: fit(
                fitted,
                splits.train,
                scored[val],
                max_epochs=cfg.trainer.max_epochs,
                seed=cfg.seed,
                output_dir=folder,
                logger=log_to.part(),
            )
        )
        found = {
            name: fitting.run(functools.partial(evaluate, result, part))
            for name, part in scored.items()
        }
        score, test = found[val].f1, found["test"]
        log_to.add_scores({"score": score, "test/f1": test.f1, "test/accuracy": test.accuracy})
    leave_group()
    told = f"macro-F1: validation {found['validation'].f1:.4f}, test {test.f1:.4f}"
    if wear is not None:
        both = ", ".join(
            f"{name} {found[f'{name}_worn'].f1:.4f}" for name in ("validation", "test")
        )
        told += f"; under wear ({wear.in_words}): {both}"
    console.print(told, highlight=False, soft_wrap=True)
    named = splits.train
    if is_first():
        with told_if_full(folder):
            fitted = write_run(folder, found, classes=named.classes, codes=named.codes)
            console.print(fitted.in_words, highlight=False, soft_wrap=True)
            if result.weights is not None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "best.ckpt"))
    console.print(f"written to {folder}", highlight=False, soft_wrap=True)
    return score


@contextlib.contextmanager
def told_if_full(folder: Path) -> Iterator[None]:
    """Tell of a disk without room in a line.

    Raises:
        UserError: in place of the `OSError`.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise UserError(
            f"{error.filename or folder}: {error.strerror}, so the run is not whole; make room "
            "and train again, or take another folder with paths.output_dir"
        ) from error
