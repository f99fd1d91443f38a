"""From a folder of images to a trained model, over two families that the user has described."""

import shlex
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from optuna.trial import TrialState
from PIL import Image

from tests.conftest import Door
from tests.test_presets import one_thread as one_thread
from tests.test_train import study_of

# Family -> its learning rates.
FAMILIES = {"convnext": (1e-4, 1e-3), "efficientnet": (2e-3, 2e-2)}


@pytest.fixture
def own_work(tmp_path: Path) -> None:
    """Leave what a user would make: images in folders of classes, and two models."""
    rng = np.random.default_rng(0)
    for name, number in product(("dark", "light", "striped"), range(32)):
        folder = tmp_path / "scans" / name
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 100, (48, 48, 3)) + 120 * (name == "light")
        if name == "striped":
            pixels[::6] += 150
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    models = tmp_path / "own" / "model"
    models.mkdir(parents=True)
    for family, (low, high) in FAMILIES.items():
        text = f"name: test_{family}\npretrained: false\nlr_low: {low}\nlr_high: {high}\n"
        (models / f"small_{family}.yaml").write_text(text)


# What is searched for several models is held in tests/training/test_space_of_models.py, what is
# told of them in tests/results/test_unusual_studies.py, and the way to a training in test_train.
@pytest.mark.thorough
@pytest.mark.usefixtures("own_work", "one_thread")
def test_a_search_over_two_families_ends_with_a_config_that_trains_as_printed(
    door: Door, tmp_path: Path
) -> None:
    said = door(
        *("src.train", "-m", "--config-dir=own", "hparams_search=fast", "gpu=cpu"),
        *("data=image_folder", "data.root=scans", "data.img_size=48"),
        *("model=choice(small_convnext,small_efficientnet)", "+search_space=layer_scale"),
        *("optuna.n_trials=4", "quick_validation.epochs=1", "quick_validation.folds=1"),
        *("hydra/launcher=basic", "optuna.in_full=0"),
    )
    name = "fast-small_convnext+small_efficientnet-image_folder"
    study = study_of(tmp_path, name)
    assert len(study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))) == 4
    assert {trial.params["model"] for trial in study.trials} == {
        f"small_{family}" for family in FAMILIES
    }
    for trial in study.trials:
        family = trial.params["model"].removeprefix("small_")
        low, high = FAMILIES[family]
        assert low <= trial.params[f"optimizer.lr[small_{family}]"] <= high
        # The config's own layer scale is none, which is no value of the range.
        keys = [*trial.params, *trial.user_attrs.get("as_in_config", ())]
        assert any("layer_scale" in key for key in keys) == (family == "convnext")
    commands = [line.strip() for line in said.splitlines() if "--config-dir=" in line]
    (command,) = (line for line in commands if line.startswith("python -m src.train --config-dir="))
    trained = door("src.train", *shlex.split(command)[3:], "trainer.max_epochs=1")
    assert "macro-F1" in trained
    best = study.best_trial
    ran = OmegaConf.load(next((tmp_path / "outputs").iterdir()) / "config.yaml")
    family = best.params["model"].removeprefix("small_")
    assert ran.model.name == f"test_{family}"
    assert ran.optimizer.lr == best.params[f"optimizer.lr[small_{family}]"]
    assert ran.data.batch_size == best.params[f"data.batch_size[small_{family}]"]
