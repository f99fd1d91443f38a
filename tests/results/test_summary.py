"""A study in figures: what mattered, and how long it took."""

import datetime
from typing import Literal

import optuna
import pytest

from src.results.summary import summarize
from tests.results.example_study import make_study


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_what_makes_trials_good_is_important_not_what_makes_them_bad(
    direction: Literal["minimize", "maximize"],
) -> None:
    sampler = optuna.samplers.RandomSampler(seed=1)
    study = optuna.create_study(direction=direction, sampler=sampler)
    sign = 1 if direction == "maximize" else -1
    for _ in range(200):
        trial = study.ask()
        helps, harms = (trial.suggest_float(name, 0, 1) for name in ("helps", "harms"))
        study.tell(trial, sign * (helps - 10 * (harms > 0.9)))
    shares = summarize(study).importances
    assert shares["helps"] > 2 * shares["harms"]


def test_the_time_of_a_search_is_without_its_pauses() -> None:
    study = make_study(complete=3)
    later = study.trials[0]
    later.datetime_start = datetime.datetime(2026, 1, 3)
    later.datetime_complete = later.datetime_start + datetime.timedelta(seconds=5)
    study.add_trial(later)
    found = summarize(study)
    # Trials of 2 s, started a second apart on two workers, and one of 5 s two days later.
    assert found.seconds == 4 + 5
    assert found.trial_seconds == 3 * 2 + 5
