"""The door that combines: a real search, its ensemble, and predictions with it."""

import csv
import json
import os
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from sklearn.metrics import f1_score

from doctune import shown_keys
from src.data.config import DataConfig
from src.data.load import load_splits
from src.results.ensemble.members import is_trained
from tests.conftest import TINY, Door


@pytest.fixture(scope="module")
def searched(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Search under wear, and return the folder of the study `s`."""
    root = tmp_path_factory.mktemp("searched")
    words = (
        *("hparams_search=fast", *TINY, "optuna.n_trials=2", "optuna.study_name=s"),
        *("pruning.enabled=false", "quick_validation.epochs=1", "data.batch_size=16"),
        *("search_space.learning_rate.low=3e-3", f"data.cache_dir={cache_dir}"),
        "quick_validation.wear=light",
        "hydra/launcher=basic",
    )
    with pytest.MonkeyPatch.context() as here:
        here.chdir(root)
        here.setattr(sys, "argv", ["src.train", "-m", *words])
        here.setattr(shown_keys, "_names", {})
        runpy.run_module("src.train", run_name="__main__")
    return root / "multirun" / "s"


def test_mistakes_are_told_in_a_line_before_any_training(door: Door, searched: Path) -> None:
    for words, told in (
        ([], "study=NAME is missing; there are: s"),
        (["study=x"], "study=x: there is none of that name"),
        (["study=s", "members=0"], "members=0: must be at least 1"),
        (["study=s", "trainer.epochs=3"], "'epochs' not in 'TrainerConfig'"),
        (["study=s", "trainer.max_epochs=0"], "trainer.max_epochs=0"),
        (["study=s", "accelerator=tpu"], "accelerator=tpu: choose auto"),
    ):
        said = door("src.ensemble", *words, f"paths.multirun_dir={searched.parent}", code=1)
        assert told in said
        assert "Traceback" not in said
        assert not (searched / "ensemble").exists()


def test_an_ensemble_from_search_to_predictions(
    door: Door, searched: Path, tmp_path: Path, cache_dir: Path
) -> None:
    where = f"paths.multirun_dir={searched.parent}"
    words = ("src.ensemble", "study=s", where, "trainer.max_epochs=1", "rounds=7")
    said = door(*words)
    folder = searched / "ensemble"
    result = json.loads((folder / "ensemble.json").read_text())
    assert sum(member["weight"] for member in result["members"]) == pytest.approx(1)
    assert result["out_of_fold"]["ensemble"] >= result["out_of_fold"]["single"]
    assert "epoch 1/1" in said
    assert result["train"] == {"trainer": {"max_epochs": 1}}
    assert result["wear"] == "light"
    assert "of pages worn by quick_validation.wear=light" in said
    assert f"python -m src.predict run={folder} data=PATH" in said
    assert f"run={folder} data=PATH" in (searched / "optuna_study_report.html").read_text()
    # The temperature of the mean, from the worn validation split; predict uses it, below.
    calibrated = result["calibration"]["plain"]
    assert f"with a temperature of {calibrated['temperature']:.2f}" in said
    assert result["calibration"]["tta"] is None
    # The same again would train nothing of it; what is broken would be trained again.
    for run in _runs(folder):
        config = OmegaConf.load(folder / run / "config.yaml")
        assert isinstance(config, DictConfig)
        assert is_trained(config, folder / run)
        (folder / run / "classes.json").rename(folder / "aside.json")
        assert not is_trained(config, folder / run)
        (folder / "aside.json").rename(folder / run / "classes.json")

    # Predictions on the test split, as its pages are, are those that were scored.
    test = load_splits(DataConfig(n_images=480, img_size=32, cache_dir=str(cache_dir))).test
    (tmp_path / "in").mkdir()
    for i, image in enumerate(test.images):
        Image.fromarray(image).save(tmp_path / "in" / f"{i:03d}.png")
    told = door("src.predict", f"run={folder}", "data=in", "output=p.csv")
    assert f"temperature {calibrated['temperature']:.2f}" in told
    with (tmp_path / "p.csv").open() as file:
        predicted = [row["target"] for row in csv.DictReader(file)]
    truth = [test.classes[label] for label in test.labels]
    score = f1_score(truth, predicted, labels=test.classes, average="macro", zero_division=0)
    assert score == pytest.approx(result["macro_f1"]["ensemble"]["test_clean"], abs=0.02)
    assert np.unique(predicted).size > 1


# What would be trained again is asked for above, and whether views help in ensemble/test_tta.py.
@pytest.mark.thorough
def test_what_is_there_is_kept_and_what_is_broken_trained_again(door: Door, searched: Path) -> None:
    where = f"paths.multirun_dir={searched.parent}"
    words = ("src.ensemble", "study=s", where, "trainer.max_epochs=2", "rounds=7")
    door(*words)
    folder = searched / "ensemble"
    result = json.loads((folder / "ensemble.json").read_text())
    trained = {run: os.stat(folder / run / "best.ckpt").st_mtime_ns for run in _runs(folder)}

    # The same again trains nothing.
    again = door(*words)
    assert "epoch" not in again
    assert again.count("trained already") == len(trained)
    assert json.loads((folder / "ensemble.json").read_text()) == result

    # What augmentation at test time does to the worn validation split decides about it; and what
    # is broken is trained again.
    first = sorted(trained)[0]
    (folder / first / "classes.json").unlink()
    tried = door(*words, "tta=true")
    weighed = json.loads((folder / "ensemble.json").read_text())["tta"]
    assert weighed["used"] == (weighed["validation"] > weighed["validation_without"])
    assert ("data=PATH tta=true" in tried) == weighed["used"]
    assert f"{weighed['validation_without']:.4f} without" in tried.replace("\n", " ")
    assert result["tta"] is None
    assert "epoch 2/2" in tried
    changed = [
        run for run in trained if os.stat(folder / run / "best.ckpt").st_mtime_ns != trained[run]
    ]
    assert changed == [first]


def _runs(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_dir()]
