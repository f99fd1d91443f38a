"""A study with its folder: the config and the files of each trial."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from doctune.errors import UserError
from src.results.stored_study import StoredStudy
from tests.results.example_study import make_study, written


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


def test_images_are_looked_for_where_the_study_had_them_last(
    tmp_path: Path, search_config: Any
) -> None:
    study = make_study(complete=2)
    written(study, tmp_path, search_config)
    study.set_user_attr("places", {"data.root": "/mnt/moved"})
    assert StoredStudy(study, tmp_path).trial_config(1).data.root == "/mnt/moved"
