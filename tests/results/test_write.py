"""The files of a study: what stands in them, whatever the study holds."""

import csv
import io
from pathlib import Path
from typing import Any

import optuna
import pytest
from omegaconf import OmegaConf
from rich.console import Console

from src.results.finish import print_summary
from src.results.summary import summarize
from tests.results.example_study import make_study, written


def test_everything_about_a_study(tmp_path: Path, search_config: Any) -> None:
    study = make_study(complete=9, pruned=3, failed=1)
    files, page = written(study, tmp_path, search_config)
    assert files.best_params is not None
    assert files.train_config is not None
    best: Any = OmegaConf.load(files.best_params)
    assert best["optimizer.lr"] == study.best_params["optimizer.lr"]
    rows = list(csv.DictReader(io.StringIO(files.trials.read_text())))
    assert [row["state"] for row in rows] == ["COMPLETE"] * 9 + ["PRUNED"] * 3 + ["FAIL"]
    assert float(rows[0]["value"]) == study.trials[0].value
    assert f"{study.best_value:.4f}" in page
    assert "9.9" in page
    found = summarize(study)
    assert found.epochs == 9 * 4 + 3
    assert found.saved_share == pytest.approx(9 / 48)
    assert set(found.importances) == set(study.best_params)


@pytest.mark.parametrize("counts", [(0, 0, 0), (0, 3, 0), (0, 0, 2), (1, 0, 0)])
def test_studies_with_little_in_them(
    tmp_path: Path, search_config: Any, counts: tuple[int, int, int]
) -> None:
    files, page = written(make_study(*counts), tmp_path, search_config)
    assert ("<h1>No result" in page) == (counts[0] == 0)
    assert (files.train_config is None) == (counts[0] == 0)
    console = Console(file=io.StringIO(), width=200)
    print_summary(files, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert ("nothing to train with" in shown) == (counts[0] == 0)


def test_two_objectives(tmp_path: Path, search_config: Any) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for tenths in range(10):
        study.enqueue_trial({"optimizer.lr": tenths / 10})
        trial = study.ask()
        lr = trial.suggest_float("optimizer.lr", 0, 1)
        study.tell(trial, [lr, lr])
    files, _ = written(study, tmp_path, search_config)
    assert files.best_params is not None
    found: Any = OmegaConf.load(files.best_params)
    assert found["optimizer.lr"] == max(t.params["optimizer.lr"] for t in study.trials)


def test_passwords_stay_out_of_everything(tmp_path: Path, search_config: Any) -> None:
    study = make_study(complete=9, failed=1)
    study.set_user_attr("command", "python -m src.train optuna.storage=sql://me:secret@host/db")
    files, page = written(study, tmp_path, search_config)
    assert "sql://me@host/db" in page
    assert files.train_config is not None
    for path in (files.report, files.trials, files.train_config):
        assert "secret" not in path.read_text(), path
