"""Whose best is better, and whether that can be said."""

from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial

from src.results.beside.compare import Comparison, compare
from src.results.stored_study import StoredStudy

SETTINGS = {"data": "documents", "quick_validation.folds": 4, "quick_validation.epochs": 3}


def study(
    name: str,
    folds: list[float] | None,
    settings: dict[str, Any] | None = SETTINGS,
    direction: Literal["maximize", "minimize"] = "maximize",
) -> StoredStudy:
    """Return a study with a single trial, or with none."""
    made = optuna.create_study(study_name=name, direction=direction)
    made.set_metric_names(["f1" if direction == "maximize" else "log_loss"])
    if settings is not None:
        made.set_user_attr("settings", settings)
    if folds is not None:
        made.add_trial(
            create_trial(
                value=fmean(folds),
                params={"optimizer.lr": 0.01},
                distributions={"optimizer.lr": FloatDistribution(1e-4, 1e-2, log=True)},
                user_attrs={"folds": folds},
            )
        )
    return StoredStudy(made, Path("nowhere"))


HARD_FOLDS = [0.60, 0.80, 0.70, 0.75]
# Better by the same on every fold, though the folds differ by more.
BETTER = [fold + gain for fold, gain in zip(HARD_FOLDS, (0.020, 0.021, 0.019, 0.020), strict=True)]
NOISY = [fold + gain for fold, gain in zip(HARD_FOLDS, (0.2, -0.2, 0.1, 0.0), strict=True)]


def compared(*studies: StoredStudy) -> Comparison:
    return compare(studies)


@pytest.mark.parametrize(
    ("folds", "said", "tone"),
    [
        (BETTER, "b is better by 0.0200", "good"),
        (NOISY, "b is perhaps better, by 0.0250", "unsure"),
        (HARD_FOLDS, "a and b are equal", "none"),
        (BETTER[:2], "b leads by 0.0080", "unsure"),
        (None, "Nothing to compare yet", "none"),
    ],
)
def test_the_verdict(folds: list[float] | None, said: str, tone: str) -> None:
    found = compared(study("a", HARD_FOLDS), study("b", folds))
    assert (found.headline, found.tone) == (said, tone)


def test_where_less_is_better_the_lower_one_leads() -> None:
    found = compared(
        study("a", BETTER, direction="minimize"), study("b", HARD_FOLDS, direction="minimize")
    )
    assert found.headline == "b is better by 0.0200"
    assert found.gain is not None
    assert found.gain.mean == pytest.approx(0.02)
    assert found.figures["best log_loss"] == ["0.7325", "0.7125"]


def test_scores_on_other_images_do_not_compare() -> None:
    found = compared(study("a", HARD_FOLDS), study("b", BETTER, {**SETTINGS, "data": "csv"}))
    assert found.headline == "Their scores do not compare"
    assert "They differ in data." in found.detail
    assert found.gain is None
    assert found.leader is None
    assert found.differing == {"data": ["documents", "csv"]}
    other = compared(study("a", HARD_FOLDS), study("b", BETTER, direction="minimize"))
    assert "the objective" in other.detail
    assert "what is known" in compared(study("a", HARD_FOLDS), study("b", BETTER, None)).detail


def test_another_model_or_length_is_what_one_compares() -> None:
    longer = {**SETTINGS, "quick_validation.epochs": 9, "model": "resnet50"}
    found = compared(study("a", HARD_FOLDS), study("b", BETTER, longer))
    assert found.headline == "b is better by 0.0200"
    assert found.differing["quick_validation.epochs"] == ["3", "9"]
    assert found.parameters == {"optimizer.lr": [("0.01", "0.0001..0.01 (log)")] * 2}


def test_studies_under_different_wear_do_not_compare() -> None:
    """One of before there was any was clean."""
    worn = {**SETTINGS, "quick_validation.wear": "document (0a1b2c3d)"}
    found = compared(study("a", HARD_FOLDS), study("b", BETTER, worn))
    assert found.leader is None
    assert found.differing == {"quick_validation.wear": ["none", "document (0a1b2c3d)"]}
    clean = {**SETTINGS, "quick_validation.wear": "none"}
    assert compared(study("a", HARD_FOLDS), study("b", BETTER, clean)).differing == {}
