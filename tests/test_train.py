"""The main door, as a user opens it."""

import csv
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from omegaconf import OmegaConf
from optuna.trial import TrialState
from sklearn.metrics import f1_score

from doctune.study.study import load_study
from src.trial.out_of_fold import OutOfFold
from tests.conftest import PAGES, TINY, Door, Run


def study_of(folder: Path, name: str) -> optuna.Study:
    return load_study(f"sqlite:///{folder / 'multirun' / 'optuna.db'}", name)


def test_a_plain_run_leaves_everything_in_its_folder(run: Run, tmp_path: Path) -> None:
    done = run("src.train", *TINY, "trainer.max_epochs=2")
    assert "epoch 2/2" in done.stdout
    assert [line for line in done.stderr.splitlines() if "drawing pages" not in line] == []
    folder = next((tmp_path / "outputs").iterdir())
    metrics = json.loads((folder / "metrics.json").read_text())
    with (folder / "confusion_matrix.csv").open() as file:
        counts = np.array([row[1:] for row in csv.reader(file)][1:], dtype=int)
    by_class = 2 * counts.diagonal() / np.maximum(counts.sum(0) + counts.sum(1), 1)
    assert metrics["test"]["macro_f1"] == pytest.approx(by_class.mean())
    assert metrics["test"]["accuracy"] == pytest.approx(counts.trace() / counts.sum())
    assert set(metrics["test"]["f1_by_class"]) >= {"invoice", "letter", "cv"}
    for name in ("best.ckpt", "config.yaml", "confusion_matrix.csv", "confusion_matrix.html"):
        assert (folder / name).stat().st_size > 0
    assert "${" not in (folder / "config.yaml").read_text()
    fitted = json.loads((folder / "calibration.json").read_text())
    assert f"temperature {fitted['temperature']:.2f} from" in done.stdout
    assert fitted["log_loss"][0] == pytest.approx(metrics["test"]["loss"], rel=1e-4)
    curves = (folder / "curves" / "metrics.csv").read_text()
    for name in ("train/loss", "train/lr", "train/grad_norm", "val/f1"):
        assert name in curves


def test_a_search_ends_with_a_config_that_trains_as_printed(
    run: Run, door: Door, tmp_path: Path
) -> None:
    """Under wear, which the training that it ends with is scored under as well."""
    done = run(
        *("src.train", "-m", "hparams_search=fast", *TINY, "optuna.n_trials=2", "optuna.n_jobs=1"),
        *("quick_validation.epochs=1", "quick_validation.wear=light"),
    )
    folder = tmp_path / "multirun" / "fast-tiny-documents"
    study = study_of(tmp_path, "fast-tiny-documents")
    assert len(study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))) == 2
    first = study.trials[0]
    assert first.user_attrs["defaults"]
    assert first.params["optimizer.lr"] == pytest.approx(1e-3)
    assert len(first.intermediate_values) == 2
    assert first.value == pytest.approx(sum(first.user_attrs["folds"]) / 2)
    assert first.value == pytest.approx(first.intermediate_values[1])
    with (folder / "trials.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2
    assert "optimizer.lr" in (folder / "best_params.yaml").read_text()
    assert f"{study.best_value:.4f}" in (folder / "optuna_study_report.html").read_text()
    kept = OutOfFold.load(folder / "0")
    assert len(kept.rows) == len(set(kept.rows)) == 288
    assert np.allclose(kept.probabilities.sum(1), 1, atol=1e-4)
    guessed = kept.probabilities.argmax(1)
    scores = [
        f1_score(kept.labels[held_out], guessed[held_out], average="macro")
        for held_out in (kept.folds == 0, kept.folds == 1)
    ]
    assert scores == pytest.approx(first.user_attrs["folds"], abs=1e-5)
    assert len(first.user_attrs["folds_clean"]) == 2
    for told in ("f1_clean", "quick_validation.wear=light"):
        assert told in done.stdout
    assert "quick_validation.wear" in (folder / "optuna_study_report.html").read_text()
    assert first.user_attrs["environment"]["torch"]
    command = done.stdout.strip().splitlines()[-1].strip()
    assert command.startswith("python -m src.train --config-dir=")
    words = shlex.split(command)[3:]
    # A person relabels the first page that the search suspects, and leaves the second out.
    labels = folder / "suspect_labels.csv"
    head, one, two, *rest = labels.read_text(encoding="utf-8").splitlines()
    labels.write_text("\n".join([head, f"{one}relabel", f"{two}leave out", *rest]))
    trained = door("src.train", *words, "trainer.max_epochs=1", f"data.labels={labels}")
    assert "data.labels: another class for 1 image, and 1 left out" in trained
    assert "480" not in command
    assert "32 px" in trained
    assert "under wear (light): validation" in trained
    resolved = next((tmp_path / "outputs").iterdir()) / "config.yaml"
    chosen: Any = OmegaConf.load(folder / "best_params.yaml")
    assert OmegaConf.load(resolved).optimizer.lr == chosen["optimizer.lr"]


# In the process of the test, which has imported torch.
HERE = ("-m", "hparams_search=fast", *TINY, "hydra/launcher=basic")
FEW = tuple(word for word in HERE if word != PAGES)


# As keys of the search below do.
@pytest.mark.thorough
def test_a_key_on_the_command_line_leaves_the_search(door: Door, tmp_path: Path) -> None:
    door(
        *("src.train", *HERE, "optuna.n_trials=1", "quick_validation.epochs=1"),
        *("optimizer.lr=2e-3", "quick_validation.batch_size_override=16"),
    )
    params = study_of(tmp_path, "fast-tiny-documents").trials[0].params
    assert set(params) == {"optimizer.weight_decay", "model.drop_rate"}


def test_not_enabled_trains_once_with_the_defaults(door: Door, tmp_path: Path) -> None:
    door("src.train", *HERE, "optuna.enabled=false", "trainer.max_epochs=1")
    assert (tmp_path / "multirun" / "fast-tiny-documents" / "0" / "metrics.json").exists()
    assert not (tmp_path / "multirun" / "optuna.db").exists()


# That nothing is pruned where pruning is off, the search of test_ensemble shows.
@pytest.mark.parametrize("pruning", ["true", pytest.param("false", marks=pytest.mark.thorough)])
def test_pruning_spends_clearly_fewer_epochs(
    door: Door, tmp_path: Path, sorted_scans: Path, pruning: str
) -> None:
    """Learning rates far too small are given up; without pruning every epoch is trained."""
    # The first is the config's own, which learns; the other is drawn from what does not.
    door(
        *("src.train", *FEW, "optuna.n_trials=2", f"pruning.enabled={pruning}"),
        *("data=image_folder", f"data.root={sorted_scans}", "data.cache_dir=cache"),
        *("pruning.patience=0", "pruning.n_startup_trials=1", "data.batch_size=16"),
        *("quick_validation.epochs=2", "search_space.learning_rate.low=1e-8"),
        *("search_space.learning_rate.high=1e-7", "optuna.study_name=p"),
    )
    trials = study_of(tmp_path, "p").trials
    assert len(trials) == 2
    assert set(trials[0].params) == {"optimizer.lr", "optimizer.weight_decay", "model.drop_rate"}
    spent = [len(trial.intermediate_values) for trial in trials]
    states = {trial.state for trial in trials}
    assert (TrialState.PRUNED in states) == (pruning == "true")
    if pruning == "false":
        assert spent == [4, 4]
    else:
        assert sum(spent) <= 0.85 * 4 * 2


# What is foreseen of such a card is trained in tests/trial/test_out_of_memory.py.
@pytest.mark.thorough
def test_a_card_profile_runs_on_a_cpu_when_asked_to(door: Door) -> None:
    words = [word for word in TINY if word != "gpu=cpu"]
    said = door(
        "src.train",
        *words,
        "gpu=rtx3070",
        "trainer.accelerator=cpu",
        "trainer.max_epochs=1",
        "trainer.precision=bf16-mixed",
    )
    assert "macro-F1" in said


def test_help_says_what_the_program_does(run: Run) -> None:
    done = run("src.train", "--help")
    for word in ("hparams_search", "gpu", "model", "python -m src.train -m"):
        assert word in done.stdout
