"""Which logger curves and parameters go to, and the run that it opens."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import (
    CSVLogger,
    Logger,
    MLFlowLogger,
    TensorBoardLogger,
    WandbLogger,
)
from pytorch_lightning.loggers.logger import DummyLogger

from doctune.errors import NO_ROOM
from src.training.card_rules import is_first
from src.training.logger_needs import check_logger, prepare_logger
from src.training.run_log import IDENTITY, IN_MLFLOW, WHEN_PRUNED, RunLog

log = logging.getLogger(__name__)

# The parts of the config that say how something was trained.
PARAMETERS = (
    *("seed", "model", "data", "augment", "optimizer", "scheduler", "loss", "trainer"),
    *("callbacks", "quick_validation"),
)
# What a run without a search is scored by.
SCORES = ("score", "test/f1", "test/accuracy")


class Curves(CSVLogger):
    """Lightning's own, which does not end a training for want of room."""

    def save(self) -> None:
        """Write what is not written yet, where the disk has room for it."""
        try:
            super().save()
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            log.warning("curves: %s", error.strerror)


def open_run_log(
    cfg: DictConfig,
    folder: Path,
    study: str | None = None,
    trial: int | None = None,
    searched: Sequence[str] = (),
) -> RunLog:
    """Start a run in the logger that `cfg.logger` names.

    Args:
        cfg: the whole config.
        folder: of the run or trial; CSV, TensorBoard and W&B write below it.
        study: of a trial; None for a run of its own.
        trial: number of the trial. Its curves are in the study already, so CSV writes none.
        searched: the keys that differ from trial to trial.

    Raises:
        UserError: the logger is unknown, or its package or what it needs is missing.
    """
    check_logger(cfg.logger)
    prepare_logger(cfg.logger)
    identity = {} if trial is None else dict(zip(IDENTITY, (study, trial), strict=True))
    parameters = {**identity, **flat_parameters(cfg)}
    if cfg.logger.name == "none" or (cfg.logger.name == "csv" and trial is not None):
        return RunLog(None, parameters)
    if not is_first():
        # Something to log to, as logging is done by all cards together.
        return RunLog(DummyLogger(), parameters)
    title = folder.name if trial is None else f"{study}, trial {trial}"
    return RunLog(
        _make(cfg.logger, folder, title, identity),
        parameters,
        searched,
        SCORES if trial is None else ("score", *cfg.optuna.objectives, WHEN_PRUNED),
        cfg.logger.x_axis == "epochs",
    )


def close_left_runs(cfg: DictConfig, study: str, ended: Mapping[int, str]) -> None:
    """End the runs in MLflow that nothing has ended, as their process was killed.

    TensorBoard has no row of such a trial, and W&B finds out by itself.

    Args:
        cfg: the `logger` group, of MLflow.
        study: whose trials are looked through.
        ended: trial -> how it ended; others may still run.
    """
    from mlflow.tracking import MlflowClient

    client = MlflowClient(cfg.uri)
    experiment = client.get_experiment_by_name(cfg.project)
    if experiment is None:
        return
    named = study.replace("\\", "\\\\").replace("'", "\\'")
    wanted = f"attributes.status = 'RUNNING' and tags.study = '{named}'"
    for run in client.search_runs([experiment.experiment_id], wanted):
        number = run.data.tags.get("trial", "")
        state = ended.get(int(number)) if number.isdigit() else None
        if state is not None:
            client.set_tag(run.info.run_id, "state", state)
            client.set_terminated(run.info.run_id, IN_MLFLOW[state])


def flat_parameters(cfg: DictConfig) -> dict[str, Any]:
    """Return what a run was trained with, by dotted key."""
    found: dict[str, Any] = {}

    def add(prefix: str, node: Any) -> None:
        if isinstance(node, Mapping):
            for key, value in node.items():
                add(f"{prefix}.{key}", value)
        else:
            found[prefix] = node if isinstance(node, bool | int | float | str) else str(node)

    for key in PARAMETERS:
        node = OmegaConf.select(cfg, key)
        add(key, OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node)
    return found


def _make(cfg: DictConfig, folder: Path, title: str, identity: Mapping[str, Any]) -> Logger:
    """Make Lightning's logger.

    Args:
        cfg: the `logger` group.
        folder: of the run.
        title: what the run is called.
        identity: `study` and `trial`, or nothing.
    """
    if cfg.name == "csv":
        return Curves(folder, name="", version="curves")
    if cfg.name == "tensorboard":
        return TensorBoardLogger(folder, name="", version="curves", default_hp_metric=False)
    if cfg.name == "mlflow":
        tags = {key: str(value) for key, value in identity.items()}
        return MLFlowLogger(cfg.project, title, cfg.uri, tags=tags)
    return _make_wandb(cfg, folder, title, identity)


def _make_wandb(
    cfg: DictConfig, folder: Path, title: str, identity: Mapping[str, Any]
) -> WandbLogger:
    import wandb

    run = wandb.init(
        project=cfg.project,
        name=title,
        dir=folder,
        group=identity.get("study"),
        job_type="trial" if identity else "train",
        mode="offline" if cfg.offline else None,
        # The screen belongs to the progress of the run.
        settings=wandb.Settings(silent=True, console="off"),
    )
    # As Lightning does for the runs that it starts itself, which warn about its arguments.
    run.define_metric("trainer/global_step")
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    return WandbLogger(experiment=run)
