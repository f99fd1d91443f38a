"""What to change next time: which key, and only where the study shows it."""

import re
from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler

from src.results.advice import advice
from src.results.pressed_ends import edges
from src.results.summary import summarize
from tests.results.example_study import make_study


def advice_of(study: optuna.Study) -> str:
    entries = {"optimizer.lr": "search_space.learning_rate"}
    return " ".join(advice(summarize(study), entries, confirmed=False))


def test_advice_says_which_key_to_change() -> None:
    many = advice_of(make_study(complete=3, pruned=9))
    assert "pruning.patience" in many
    assert "half of them within 1 epoch" in many
    assert "optuna.n_trials" in many
    pressed = advice_of(make_study(complete=60, pruned=2))
    assert "Widen optimizer.lr upwards" in pressed
    assert "hparams_search=focus \"optuna.from_study='<b>name</b>'\"" in pressed
    assert "hparams_search=focus" not in many
    assert re.search(r"search_space\.learning_rate\.high=0\.0[2-9]", pressed)
    assert "pruning.patience" not in pressed
    assert "optuna.n_trials" not in pressed
    assert "quick_validation.folds" in advice_of(make_study(complete=12, noise=0.15))
    assert "quick_validation.folds" not in advice_of(make_study(complete=12, noise=1e-4))


def test_trials_that_ran_out_of_time_were_not_pruned_too_early() -> None:
    assert "pruning.patience" in advice_of(make_study(complete=12, pruned=24))
    assert "pruning.patience" not in advice_of(make_study(complete=12, pruned=24, late=True))


def test_a_pruner_that_ends_most_trials_after_a_whole_fold_is_let_be() -> None:
    found = make_study(complete=6, pruned=14)
    assert "pruning.patience" in advice_of(found)
    assert "optuna.n_trials" in advice_of(found)
    promoted = advice_of(make_study(complete=6, pruned=14, pruner="promoted"))
    assert "pruning.patience" not in promoted
    assert "optuna.n_trials" not in promoted


def test_ends_of_ranges_are_told_of_few_complete_trials_beside_many_that_were_ended() -> None:
    best = summarize(make_study(complete=60)).ranked[:8]
    assert edges(best, {}) == []
    assert "Widen optimizer.lr upwards" in " ".join(edges(best, {}, ended=52))


def test_a_patience_that_saves_nothing_is_told() -> None:
    assert "Pruning saved" not in advice_of(make_study(complete=20, noise=1e-4))
    told = advice_of(make_study(complete=20, noise=1e-4, pruner="patient"))
    assert "Pruning saved 0% of the epochs" in told
    assert "is given 4 without a gain" in told
    assert "hydra/sweeper/pruner=median" in told
    assert "Pruning saved" not in advice_of(make_study(complete=20, noise=1e-4, pruner="median"))


@pytest.mark.parametrize(
    ("choices", "best", "told"),
    [
        ([16, 32, 64], 64, "the largest of its choices. Add a larger one"),
        ([16, 32, 64], 16, "the smallest of its choices. Add a smaller one"),
        ([0, 1, 2], 0, None),
        ([16, 32, 64], 32, None),
        ([16, 32], 32, None),
        (["avg", "max", "both"], "avg", None),
    ],
)
def test_choices_at_whose_end_the_best_are(choices: list[Any], best: Any, told: str | None) -> None:
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=1))
    for _ in range(40):
        trial = study.ask()
        study.tell(trial, float(trial.suggest_categorical("x", choices) == best))
    said = advice_of(study)
    assert told in said if told else said == ""


def test_a_range_that_holds_the_best_is_left_alone() -> None:
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=1))
    for _ in range(60):
        trial = study.ask()
        study.tell(trial, -((trial.suggest_float("x", 0, 1) - 0.5) ** 2))
    assert advice_of(study) == ""


@pytest.mark.parametrize(
    ("score", "classes", "worn", "told"),
    [
        (0.0578, 12, True, "f1 0.0578, and guesses among 12 classes have up to 0.0833"),
        (0.0578, 12, False, "In another study raise quick_validation.epochs"),
        (0.09, 12, True, None),
        (0.0578, None, True, None),
    ],
)
def test_a_search_that_only_guesses_is_told(
    score: float, classes: int | None, worn: bool, told: str | None
) -> None:
    study = optuna.create_study(direction="maximize")
    study.set_metric_names(["f1"])
    for step in range(2):
        trial = study.ask()
        if classes is not None:
            trial.set_user_attr("classes", classes)
        study.tell(trial, score - 0.001 * step)
    if worn:
        study.set_user_attr("settings", {"quick_validation.wear": "document at strength 1.5"})
    said = advice_of(study)
    assert told in said if told else "guessing" not in said
    assert ("augment.strength" in said) == (worn and told is not None)
