"""A study with its folder: the config and the files of each trial."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, create_trial

from doctune.errors import UserError
from src.results.stored_study import StoredStudy, parameters_of
from tests.results.example_study import make_study, written

ANY = CategoricalDistribution([32, 32.0, 33, "a", "avg", None])


def test_a_trials_config_is_typed_and_searches_no_more(tmp_path: Path, search_config: Any) -> None:
    study = make_study(complete=3)
    search_config.optuna.storage = "postgresql://me:secret@host/db"
    written(study, tmp_path, search_config)
    config = StoredStudy(study, tmp_path).trial_config(2)
    assert config.optimizer.lr == study.trials[2].params["optimizer.lr"]
    assert config.quick_validation.folds == 3
    assert not config.optuna.enabled
    assert not config.search_space
    assert "secret" not in OmegaConf.to_yaml(config, resolve=True)
    with pytest.raises(UserError, match="no trial 3"):
        StoredStudy(study, tmp_path).trial_config(3)
    shutil.rmtree(tmp_path / "1")
    with pytest.raises(UserError, match="multirun_dir"):
        StoredStudy(study, tmp_path).trial_config(1)
    # One that was not trained again, as its like had been, ran where that one did.
    study.add_trial(study.trials[2])
    assert StoredStudy(study, tmp_path).trial_folder(3) == tmp_path / "2"


def test_folders_of_all_trials_take_one_look_at_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one at each of the others for every trial, which takes minutes where there are many."""
    looked: list[int] = []

    def counted(trial: FrozenTrial) -> str:
        looked.append(trial.number)
        return parameters_of(trial)

    monkeypatch.setattr("src.results.stored_study.parameters_of", counted)
    stored = StoredStudy(make_study(complete=30), tmp_path)
    for number in range(30):
        with pytest.raises(UserError, match="multirun_dir"):
            stored.trial_folder(number)
    assert len(looked) == 2 * 30


def test_parameters_are_the_same_where_numbers_are_equal() -> None:
    def of(**params: Any) -> str:
        return parameters_of(
            create_trial(params=params, distributions=dict.fromkeys(params, ANY), value=0.5)
        )

    assert of(batch=32, name="a") == of(name="a", batch=32.0)
    assert of(batch=32) != of(batch=33)
    assert of(pooling=None) != of(pooling="avg")


def test_images_are_looked_for_where_the_study_had_them_last(
    tmp_path: Path, search_config: Any
) -> None:
    study = make_study(complete=2)
    written(study, tmp_path, search_config)
    study.set_user_attr("places", {"data.root": "/mnt/moved"})
    assert StoredStudy(study, tmp_path).trial_config(1).data.root == "/mnt/moved"
