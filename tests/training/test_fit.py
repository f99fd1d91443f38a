"""What a run shows and leaves."""

import csv
import json
import math
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_utilities.core.rank_zero import rank_zero_only

from src.data.image_set import ImageSet
from src.training.calibration import log_loss
from src.training.card_rules import is_first, train_alone
from src.training.evaluate import evaluate, write_run
from src.training.fit import fit, make_trainer
from src.training.loggers import open_run_log
from src.training.module import Classifier
from src.training.optimizer import learning_rate_factor
from tests.conftest import Compose

SMALL = ("data.img_size=32", "data.batch_size=16")


def test_a_trial_shows_nothing(
    cfg: Compose,
    blobs: ImageSet,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A machine of a cluster.
    (tmp_path / "srun").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("default")
        fit(cfg(*SMALL), blobs, blobs, max_epochs=1, seed=0, output_dir=None)
    shown = capfd.readouterr()
    assert shown.out + shown.err == ""
    assert [str(warning.message) for warning in warned] == []


ALLOCATION = {
    "SLURM_JOB_ID": "1",
    "SLURM_JOB_NAME": "search",
    "SLURM_NTASKS": "2",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "0",
}


@pytest.mark.parametrize("variables", [{}, ALLOCATION], ids=["login node", "two tasks"])
def test_one_card_takes_no_part_in_an_allocation(
    cfg: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    (tmp_path / "srun").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(rank_zero_only, "rank", int(variables.get("SLURM_PROCID", 0)))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        train_alone(cfg())
        trainer = make_trainer(cfg(), max_epochs=1)
    assert (trainer.world_size, trainer.global_rank) == (1, 0)
    # Otherwise it would write and show nothing.
    assert is_first()
    assert not [str(one.message) for one in warned if "srun" in str(one.message)]


def test_a_plain_run_prints_one_line_an_epoch(
    cfg: Compose, blobs: ImageSet, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text("seed: 42\n")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("default")
        result = fit(cfg(*SMALL), blobs, blobs, max_epochs=2, seed=0, output_dir=tmp_path)
        evaluate(result, blobs, cfg(*SMALL))
    shown = capfd.readouterr()
    assert shown.err == ""
    assert [str(warning.message) for warning in warned] == []
    lines = shown.out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert f"macro-F1 {result.f1:.4f}" in lines[1]


def test_the_files_of_a_run(cfg: Compose, blobs: ImageSet, tmp_path: Path) -> None:
    config = cfg(*SMALL, "callbacks.progress=false")
    with open_run_log(config, tmp_path) as log:
        result = fit(
            config, blobs, blobs, max_epochs=1, seed=0, output_dir=tmp_path, logger=log.part()
        )
    found = evaluate(result, blobs, config)
    write_run(tmp_path, {"validation": found, "test": found}, blobs.classes)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("best.ckpt", "curves", "metrics.json", "classes.json", "calibration.json"),
        *("confusion_matrix.csv", "confusion_matrix.html"),
    }
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert log_loss(found.scores, found.labels) == pytest.approx(found.loss, rel=1e-5)
    assert (found.scores.argmax(1) == found.labels).mean() == pytest.approx(found.accuracy)
    assert metrics["test"]["macro_f1"] == found.f1
    table = (tmp_path / "confusion_matrix.csv").read_text().splitlines()
    assert table[0].split(",")[1:] == list(blobs.classes)
    assert [int(count) for count in table[1].split(",")[1:]] == found.confusion[0]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_curves_hold_the_values_of_their_own_step(
    cfg: Compose, blobs: ImageSet, tmp_path: Path, accumulate: int
) -> None:
    # 90 images in batches of 16 are 5 batches, the incomplete sixth left out.
    config = cfg(
        *(*SMALL, "callbacks.progress=false", "trainer.log_every_n_steps=2"),
        *(f"trainer.accumulate_grad_batches={accumulate}", "optimizer.lr=1.0"),
    )
    with open_run_log(config, tmp_path) as log:
        fit(config, blobs, blobs, max_epochs=2, seed=0, output_dir=tmp_path, logger=log.part())
    with (tmp_path / "curves" / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["train/loss"]]
    steps_per_epoch = math.ceil(5 / accumulate)
    factor = learning_rate_factor(config.scheduler, steps_per_epoch, 2)
    written = [int(row["step"]) for row in rows]
    assert written == list(range(1, 2 * steps_per_epoch, 2))
    assert [float(row["train/lr"]) for row in rows] == pytest.approx(
        [factor(step) for step in written], rel=1e-5
    )
    assert all(float(row["train/grad_norm"]) > 0 for row in rows)


def test_no_checkpoint_and_no_curves_where_not_wanted(
    cfg: Compose, blobs: ImageSet, tmp_path: Path
) -> None:
    wishes = ("callbacks.checkpoint=false", "callbacks.progress=false")
    result = fit(cfg(*SMALL, *wishes), blobs, blobs, max_epochs=1, seed=0, output_dir=tmp_path)
    assert result.checkpoint is None
    assert not list(tmp_path.iterdir())


def test_one_diverged_batch_shows_in_the_loss(cfg: Compose) -> None:
    loss: Any = Classifier(cfg(*SMALL), ["a", "b"], 1, 1).val_metrics["loss"]
    loss.update(torch.tensor(1.0), weight=16)
    loss.update(torch.tensor(math.nan), weight=16)
    assert math.isnan(loss.compute())
