"""What a logger needs: a package, a key, a store. Nothing of it waits for Lightning's import."""

import importlib.util
import logging
import os
from pathlib import Path

from omegaconf import DictConfig

from doctune.errors import UserError, first_line

CHOICES = ("csv", "tensorboard", "mlflow", "wandb", "none")
# Logger -> the package to import and the one to install.
PACKAGES = {
    "tensorboard": ("tensorboard", "tensorboard"),
    "mlflow": ("mlflow", "mlflow-skinny"),
    "wandb": ("wandb", "wandb"),
}
WANDB_OFFLINE = ("offline", "dryrun", "disabled")
X_AXES = ("steps", "epochs")


def check_logger(cfg: DictConfig) -> None:
    """Check that there is such a logger, and its package.

    Raises:
        UserError: names the key and what to install or to set.
    """
    if cfg.name not in CHOICES:
        raise UserError(f"logger.name={cfg.name}: unknown; choose {', '.join(CHOICES)}")
    if cfg.x_axis not in X_AXES:
        raise UserError(f"logger.x_axis={cfg.x_axis}: unknown; choose {' or '.join(X_AXES)}")
    module, package = PACKAGES.get(cfg.name, (None, None))
    if module is not None and importlib.util.find_spec(module) is None:
        raise UserError(
            f"logger={cfg.name}: the package {package} is not installed; "
            "pip install 'doctune[loggers]'"
        )


def prepare_logger(cfg: DictConfig) -> None:
    """Look for a logger's key, and lay out its store where several workers will share it.

    Raises:
        UserError: names the key and what to set.
    """
    if cfg.name == "wandb":
        _check_wandb(cfg)
    if cfg.name == "mlflow":
        _prepare_mlflow(cfg)


def _check_wandb(cfg: DictConfig) -> None:
    """Without this, `wandb.init` would ask for a key on a screen that nobody watches."""
    import wandb

    offline = cfg.offline or os.environ.get("WANDB_MODE") in WANDB_OFFLINE
    if not offline and wandb.api.api_key is None:
        raise UserError(
            "logger=wandb: there is no key on this machine; run `wandb login`, "
            "or write to disk alone with logger.offline=true"
        )


def _prepare_mlflow(cfg: DictConfig) -> None:
    """Create the store and the experiment, which two workers at once could not."""
    # No word to MLflow's makers from machines that may not talk to the net.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    # Set after the import, which sets them too.
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if cfg.uri.startswith("sqlite:///"):
        Path(cfg.uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    try:
        client = MlflowClient(cfg.uri)
        if client.get_experiment_by_name(cfg.project) is None:
            client.create_experiment(cfg.project)
    except MlflowException as error:
        reason = first_line(error)
        raise UserError(f"logger.uri={cfg.uri}: MLflow cannot open it ({reason})") from error
