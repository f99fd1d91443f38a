"""The results of a search whose pages were scored under wear."""

import io
from pathlib import Path
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.trial import create_trial
from rich.console import Console

from src.data.wear_presets import wear_of
from src.results.finish import print_summary
from src.results.in_full import in_full
from src.results.stored_study import StoredStudy
from src.results.summary import summarize
from src.results.under_wear import wear_sentence
from tests.results.example_study import DISTRIBUTIONS, written

WEAR = "document at strength 0.5 (0a1b2c3d)"
# Under wear and as they are, on two folds: what is best under wear is not best clean.
FOLDS = [([0.5, 0.6], [0.9, 0.9]), ([0.7, 0.7], [0.8, 0.7])]


def study_under_wear() -> optuna.Study:
    study = optuna.create_study(study_name="worn", direction="maximize")
    study.set_user_attr("settings", {"quick_validation.wear": WEAR})
    study.set_user_attr("overrides", ["quick_validation.wear=document", "quick_validation.folds=2"])
    for worn, clean in FOLDS:
        study.add_trial(
            create_trial(
                value=sum(worn) / 2,
                params={"optimizer.lr": 1e-3, "data.batch_size": 16, "model.drop_rate": 0.1},
                distributions=DISTRIBUTIONS,
                user_attrs={"folds": worn, "folds_clean": clean},
            )
        )
    return study


def test_both_scores_are_shown_and_what_clean_pages_would_have_chosen(
    tmp_path: Path, search_config: Any
) -> None:
    search_config.quick_validation.wear = "document"
    search_config.quick_validation.wear_strength = 0.5
    files, page = written(study_under_wear(), tmp_path, search_config)
    screen = io.StringIO()
    print_summary(files, Console(file=screen, width=120))
    for told in (page, screen.getvalue()):
        assert "score_clean" in told
        assert "0.7500" in told
        assert "There trial 0 is the best (0.9000), which has 0.5500 on the worn ones" in told
    assert "document at strength 0.5" in screen.getvalue()
    assert "0.9000 0.9000" in files.trials.read_text()
    # Training with the result is scored as the search was, without the preset and its file.
    assert files.train_config is not None
    trained: Any = OmegaConf.load(files.train_config)
    assert trained.quick_validation.wear.rotate == 8
    whole = OmegaConf.merge(search_config, {"quick_validation": {"wear_strength": None}})
    again: Any = OmegaConf.merge(whole, {"quick_validation": trained.quick_validation})
    one, other = wear_of(search_config), wear_of(again)
    assert one is not None
    assert other is not None
    assert one.in_words == other.in_words == "document at strength 0.5"
    # So is a trial's own command, where the rest of the quick validation means nothing.
    stored = StoredStudy(study_under_wear(), tmp_path)
    command = in_full(stored, files.summary, None, None)["trials"][0]["command"]
    assert "quick_validation.wear=document" in command
    assert "folds" not in command


def test_scores_of_pages_as_they_are_need_no_word() -> None:
    study = study_under_wear()
    study.set_user_attr("settings", {"quick_validation.wear": "none"})
    found = summarize(study)
    assert found.wear == ""
    assert wear_sentence(found, found.best) == ""
