"""Each logger, read back with its own reader: parameters, trial number, curves and score."""

import csv
import importlib.util
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from src.data.image_set import ImageSet
from src.errors import UserError
from src.training.fit import fit
from src.training.loggers import check_logger, flat_parameters, open_run_log
from tests.conftest import TINY, Compose, Run

SMALL = ("data.img_size=32", "data.batch_size=16", "callbacks.progress=false")


@pytest.fixture(autouse=True)
def no_network_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every logger an address where nobody answers."""
    for name in ("WANDB_BASE_URL", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    # MLflow sets its variable for the rest of the process.
    for name in ("WANDB_API_KEY", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a store in a folder that is not there yet; laying it out takes MLflow seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/new/mlflow.db"


def mlflow_runs(uri: str, study: str) -> list[Any]:
    client = MlflowClient(uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(experiments, f"tags.study = '{study}'"))


def two_folds(config: Any, blobs: ImageSet, folder: Path, trial: int | None) -> None:
    with open_run_log(config, folder, None if trial is None else "study", trial) as log:
        for fold in (1, 2):
            prefix = "" if trial is None else f"fold_{fold}/"
            fit(
                *(config, blobs, blobs),
                max_epochs=1,
                seed=fold,
                output_dir=None,
                logger=log.part(prefix),
            )
        log.add_scores({"score": 0.75})


def test_csv_writes_plain_runs_and_leaves_trials_to_the_study(
    cfg: Compose, blobs: ImageSet, tmp_path: Path
) -> None:
    two_folds(cfg(*SMALL), blobs, tmp_path / "plain", None)
    with (tmp_path / "plain" / "curves" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["score"]) == 0.75
    assert "optimizer.lr: 0.001" in (tmp_path / "plain/curves/hparams.yaml").read_text()
    two_folds(cfg(*SMALL), blobs, tmp_path / "trial", 3)
    two_folds(cfg(*SMALL, "logger=none"), blobs, tmp_path / "none", None)
    assert not (tmp_path / "trial").exists()
    assert not (tmp_path / "none").exists()


def test_tensorboard_holds_the_folds_of_a_trial_and_its_table_of_parameters(
    cfg: Compose, blobs: ImageSet, tmp_path: Path
) -> None:
    two_folds(cfg(*SMALL, "logger=tensorboard"), blobs, tmp_path, 3)
    found = EventAccumulator(str(tmp_path / "curves"))
    found.Reload()
    assert {"fold_1/val/f1", "fold_2/val/f1", "score"} <= set(found.Tags()["scalars"])
    assert found.Scalars("score")[0].value == 0.75
    shown = str(found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content)
    for word in ("trial", "study", "optimizer.lr"):
        assert word in shown


def test_mlflow_has_a_run_for_each_trial(
    cfg: Compose, blobs: ImageSet, tmp_path: Path, mlflow_uri: str
) -> None:
    config = cfg(*SMALL, "logger=mlflow", f"logger.uri={mlflow_uri}")
    two_folds(config, blobs, tmp_path, 3)
    (run,) = mlflow_runs(mlflow_uri, "study")
    assert run.info.status == "FINISHED"
    assert run.data.params["optimizer.lr"] == "0.001"
    assert run.data.params["trial"] == run.data.tags["trial"] == "3"
    assert run.data.metrics["score"] == 0.75
    assert {"fold_1/val/f1", "fold_2/val/f1"} <= set(run.data.metrics)
    with pytest.raises(ZeroDivisionError), open_run_log(config, tmp_path, "study", 4):
        _ = 1 / 0
    ends = {run.data.tags["trial"]: run.info.status for run in mlflow_runs(mlflow_uri, "study")}
    assert ends == {"3": "FINISHED", "4": "FAILED"}


def test_wandb_offline_needs_neither_network_nor_key(
    cfg: Compose, blobs: ImageSet, tmp_path: Path
) -> None:
    config = cfg(*SMALL, "logger=wandb", "logger.offline=true")
    for trial in (3, 4):
        folder = tmp_path / str(trial)
        folder.mkdir()
        two_folds(config, blobs, folder, trial)
        (file,) = folder.glob("wandb/offline-run-*/*.wandb")
        wanted = (f"study, trial {trial}", "fold_2/val/f1", "optimizer.lr", "score")
        # W&B's own process writes the file, and may take a moment after the end of the run.
        for _ in range(100):
            missing = [word for word in wanted if word.encode() not in file.read_bytes()]
            if not missing:
                break
            time.sleep(0.2)
        assert missing == []


def test_a_search_logs_from_all_its_workers(run: Run, mlflow_uri: str) -> None:
    words = ("logger=mlflow", "optuna.n_trials=2", "optuna.n_jobs=2", f"logger.uri={mlflow_uri}")
    run("src.train", "-m", "hparams_search=fast", *TINY, *words, "quick_validation.epochs=1")
    found = mlflow_runs(mlflow_uri, "fast-tiny-documents")
    assert {run.data.tags["trial"] for run in found} == {"0", "1"}
    assert {run.info.status for run in found} == {"FINISHED"}
    assert len({run.data.params["optimizer.lr"] for run in found}) == 2


@pytest.mark.parametrize(
    ("name", "package"),
    [("tensorboard", "tensorboard"), ("mlflow", "mlflow-skinny"), ("wandb", "wandb")],
)
def test_a_missing_package_is_named_with_the_extra(
    cfg: Compose, name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    with pytest.raises(UserError, match=rf"logger={name}.*{package}.*doctune\[loggers\]"):
        check_logger(cfg(f"logger={name}").logger)


def test_mistakes(cfg: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"logger\.name=paper.*tensorboard"):
        check_logger(cfg("logger.name=paper").logger)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(UserError, match=r"wandb login.*logger\.offline=true"):
        check_logger(cfg("logger=wandb").logger)
    with pytest.raises(UserError, match=r"logger\.uri=nowhere://x"):
        check_logger(cfg("logger=mlflow", "logger.uri=nowhere://x").logger)


def test_parameters_are_flat_and_resolved(cfg: Compose) -> None:
    found = flat_parameters(cfg("model=efficientnet_b3", "data.batch_size=48"))
    assert found["model.name"] == "efficientnet_b3"
    assert found["data.batch_size"] == 48
    assert found["augment.mean"] == "[0.485, 0.456, 0.406]"
    assert not any("${" in str(value) for value in found.values())
