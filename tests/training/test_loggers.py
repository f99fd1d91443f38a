"""Each logger, read back with its own reader: parameters, trial number, curves and score."""

import csv
import importlib.util
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from doctune.errors import UserError
from src.data.image_set import ImageSet
from src.results.finish import _end_left_runs
from src.training.fit import fit
from src.training.logger_needs import check_logger, prepare_logger
from src.training.loggers import flat_parameters, open_run_log
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


def mlflow_client(uri: str) -> Any:
    # Imported here, which takes seconds that other processes of the tests are spared.
    from mlflow.tracking import MlflowClient

    return MlflowClient(uri)


def events_of(folder: Path) -> Any:
    """Return what TensorBoard reads in a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def mlflow_runs(uri: str, study: str) -> list[Any]:
    client = mlflow_client(uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(experiments, f"tags.study = '{study}'"))


def train(
    config: Any, blobs: ImageSet, folder: Path, trial: int | None, folds: tuple[int, ...] = (1, 2)
) -> None:
    """Log a trial with its score; without folds, one that was pruned."""
    study = None if trial is None else "study"
    with open_run_log(config, folder, study, trial, ["optimizer.lr"]) as log:
        for fold in folds:
            prefix = "" if trial is None else f"fold_{fold}/"
            fit(
                *(config, blobs, blobs),
                max_epochs=1,
                seed=fold,
                output_dir=None,
                logger=log.part(prefix),
            )
        if folds:
            log.add_scores({"score": 0.75})
        else:
            log.add_pruned(0.85)


def test_csv_writes_plain_runs_and_leaves_trials_to_the_study(
    cfg: Compose, blobs: ImageSet, tmp_path: Path
) -> None:
    train(cfg(*SMALL), blobs, tmp_path / "plain", None, folds=(1,))
    with (tmp_path / "plain" / "curves" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["score"]) == 0.75
    assert "optimizer.lr: 0.001" in (tmp_path / "plain/curves/hparams.yaml").read_text()
    train(cfg(*SMALL), blobs, tmp_path / "trial", 3, folds=(1,))
    train(cfg(*SMALL, "logger=none"), blobs, tmp_path / "none", None, folds=(1,))
    assert not (tmp_path / "trial").exists()
    assert not (tmp_path / "none").exists()


def study_of_killed_trials() -> optuna.Study:
    """Return a study whose trials 7 and 8 were killed, the second after its last try."""
    study = optuna.create_study(study_name="study")
    states = [TrialState.COMPLETE] * 7 + [TrialState.FAIL] * 2 + [TrialState.RUNNING]
    for number, state in enumerate(states):
        value = 0.5 if state is TrialState.COMPLETE else None
        study.add_trial(
            create_trial(state=state, value=value, user_attrs={"interrupted": number == 7})
        )
    return study


# Fewer steps than trainer.log_every_n_steps; the last of them is written all the same.
SHORT = ("train/loss", "train/lr", "train/grad_norm", "train/loss_epoch", "val/loss")


def test_tensorboard_holds_the_folds_of_a_trial_and_its_table_of_parameters(
    cfg: Compose, blobs: ImageSet, tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams import api_pb2, list_session_groups
    from tensorboard.plugins.hparams.backend_context import Context

    for trial, folds in ((3, (1, 2)), (4, ())):
        train(cfg(*SMALL, "logger=tensorboard"), blobs, tmp_path / str(trial), trial, folds)
    with (
        pytest.raises(ZeroDivisionError),
        open_run_log(cfg(*SMALL, "logger=tensorboard"), tmp_path / "5", "study", 5),
    ):
        _ = 1 / 0
    found = events_of(tmp_path / "3" / "curves")
    wanted = {f"fold_{fold}/{name}" for fold in (1, 2) for name in (*SHORT, "val/f1")}
    assert {*wanted, "score"} <= set(found.Tags()["scalars"])
    # What TensorBoard's own server answers.
    files = EventMultiplexer().AddRunsFromDirectory(str(tmp_path))
    files.Reload()
    served = Context(TBContext(data_provider=MultiplexerDataProvider(files, str(tmp_path))))
    experiment = served.experiment_from_metadata(
        RequestContext(), "", True, served.hparams_metadata(RequestContext(), ""), []
    )
    columns = [info.name for info in experiment.hparam_infos]
    assert columns[:4] == ["optimizer.lr", "state", "study", "trial"]
    assert experiment.metric_infos[0].name.tag == "score"
    asked = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=9,
        allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_UNKNOWN],
        col_params=[
            api_pb2.ColParams(metric=metric.name, missing_values_first=False)
            for metric in experiment.metric_infos
        ],
    )
    groups = list_session_groups.Handler(RequestContext(), served, "", asked).run()
    rows = {
        int(group.hparams["trial"].number_value): (
            group.hparams["state"].string_value,
            {value.name.tag: value.value for value in group.metric_values},
            group.sessions[0].status,
        )
        for group in groups.session_groups
    }
    assert rows[3] == ("complete", {"score": 0.75}, api_pb2.STATUS_SUCCESS)
    assert rows[4][:2] == ("pruned", {"score_when_pruned": pytest.approx(0.85)})
    assert rows[5] == ("failed", {}, api_pb2.STATUS_FAILURE)


def test_the_training_loss_of_an_epoch_is_the_mean_of_its_batches(
    cfg: Compose, blobs: ImageSet, tmp_path: Path
) -> None:
    config = cfg(*SMALL, "logger=tensorboard", "trainer.log_every_n_steps=1")
    with open_run_log(config, tmp_path, "study", 1) as log:
        fit(*(config, blobs, blobs), max_epochs=2, seed=1, output_dir=None, logger=log.part())
    found = events_of(tmp_path / "curves")
    steps = [event.value for event in found.Scalars("train/loss")]
    epochs = [event.value for event in found.Scalars("train/loss_epoch")]
    assert epochs == pytest.approx(
        [fmean(steps[: len(steps) // 2]), fmean(steps[len(steps) // 2 :])]
    )


def test_curves_over_epochs_line_up_whatever_the_batch(
    cfg: Compose, blobs: ImageSet, tmp_path: Path
) -> None:
    for size in (16, 32):
        config = cfg(*SMALL, "logger=tensorboard", "logger.x_axis=epochs", "scheduler=constant")
        config.data.batch_size = size
        with open_run_log(config, tmp_path / str(size), "study", size) as log:
            fit(
                *(config, blobs, blobs),
                max_epochs=2,
                seed=1,
                output_dir=None,
                logger=log.part("fold_1/"),
            )
        found = events_of(tmp_path / str(size) / "curves")
        for name in SHORT[1:]:
            assert [event.step for event in found.Scalars(f"fold_1/{name}")] == [1, 2], name


@pytest.mark.thorough
def test_mlflow_has_a_run_for_each_trial(
    cfg: Compose, blobs: ImageSet, tmp_path: Path, mlflow_uri: str
) -> None:
    config = cfg(*SMALL, "logger=mlflow", f"logger.uri={mlflow_uri}")
    train(config, blobs, tmp_path, 3)
    (run,) = mlflow_runs(mlflow_uri, "study")
    assert run.info.status == "FINISHED"
    assert run.data.params["optimizer.lr"] == "0.001"
    assert run.data.params["trial"] == run.data.tags["trial"] == "3"
    assert run.data.metrics["score"] == 0.75
    wanted = {f"fold_{fold}/{name}" for fold in (1, 2) for name in (*SHORT, "val/f1")}
    assert wanted <= set(run.data.metrics)
    for trial, error in ((4, ZeroDivisionError), (5, KeyboardInterrupt)):
        with pytest.raises(error), open_run_log(config, tmp_path, "study", trial):
            raise error
    with open_run_log(config, tmp_path, "study", 6) as log:
        log.add_pruned(0.85)
    for trial in (7, 8, 9):
        # Nothing ends these.
        open_run_log(config, tmp_path, "study", trial)
    _end_left_runs(study_of_killed_trials(), config)
    ends = {
        int(run.data.tags["trial"]): (run.info.status, run.data.tags.get("state"))
        for run in mlflow_runs(mlflow_uri, "study")
    }
    assert ends == {
        3: ("FINISHED", "complete"),
        4: ("FAILED", "failed"),
        5: ("KILLED", "killed"),
        6: ("KILLED", "pruned"),
        7: ("KILLED", "killed"),
        8: ("FAILED", "failed"),
        9: ("RUNNING", None),
    }
    # As a user sorts by score: the pruned trial has none.
    client = mlflow_client(mlflow_uri)
    experiment = client.get_experiment_by_name("doctune")
    assert experiment is not None
    best, *others = client.search_runs(
        [experiment.experiment_id], "tags.study = 'study'", order_by=["metrics.score DESC"]
    )
    assert best.data.tags["trial"] == "3"
    assert all("score" not in other.data.metrics for other in others)


@pytest.mark.thorough
def test_wandb_offline_needs_neither_network_nor_key(
    cfg: Compose, blobs: ImageSet, tmp_path: Path
) -> None:
    config = cfg(*SMALL, "logger=wandb", "logger.offline=true")
    for trial, pruned in ((3, False), (4, True)):
        folder = tmp_path / str(trial)
        folder.mkdir()
        train(config, blobs, folder, trial, () if pruned else (1, 2))
        (file,) = folder.glob("wandb/offline-run-*/*.wandb")
        ended = ("pruned", "score_when_pruned") if pruned else ("complete", "score")
        curves = () if pruned else ("fold_2/val/f1",)
        wanted = (f"study, trial {trial}", *curves, "optimizer.lr", "state", *ended)
        # W&B's own process writes the file, and may take a moment after the end of the run.
        for _ in range(100):
            missing = [word for word in wanted if word.encode() not in file.read_bytes()]
            if not missing:
                break
            time.sleep(0.2)
        assert missing == []


SEARCH = ("src.train", "-m", "hparams_search=fast", *TINY, "quick_validation.epochs=1")


# As the folds of a trial are logged above, wherever it runs.
@pytest.mark.thorough
def test_a_search_logs_from_all_its_workers(run: Run, tmp_path: Path) -> None:
    run(*SEARCH, "logger=tensorboard", "optuna.n_trials=2", "optuna.n_jobs=2")
    rates = []
    for trial in (0, 1):
        (folder,) = tmp_path.glob(f"multirun/*/{trial}/curves")
        found = events_of(folder)
        assert {"fold_1/val/f1", "fold_2/val/f1", "score"} <= set(found.Tags()["scalars"])
        rates.append(found.Scalars("fold_1/train/lr")[-1].value)
    assert rates[0] != rates[1]


@pytest.mark.thorough
def test_workers_log_to_one_mlflow_store(run: Run, mlflow_uri: str) -> None:
    run(
        *SEARCH, "logger=mlflow", "optuna.n_trials=2", "optuna.n_jobs=2", f"logger.uri={mlflow_uri}"
    )
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
    with pytest.raises(UserError, match=r"logger\.x_axis=time.*steps or epochs"):
        check_logger(cfg("logger=tensorboard", "logger.x_axis=time").logger)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(UserError, match=r"wandb login.*logger\.offline=true"):
        prepare_logger(cfg("logger=wandb").logger)
    with pytest.raises(UserError, match=r"logger\.uri=nowhere://x"):
        prepare_logger(cfg("logger=mlflow", "logger.uri=nowhere://x").logger)


def test_parameters_are_flat_and_resolved(cfg: Compose) -> None:
    found = flat_parameters(cfg("model=efficientnet_b3", "data.batch_size=48"))
    assert found["model.name"] == "efficientnet_b3"
    assert found["data.batch_size"] == 48
    assert found["augment.mean"] == "[0.485, 0.456, 0.406]"
    assert not any("${" in str(value) for value in found.values())
