"""A sampler that goes through a grid once, however often it is interrupted."""

from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from doctune.space.grid import GridThenRandomSampler

SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1e-2, log=True),
    "batch": CategoricalDistribution((16, 32)),
    "decay": FloatDistribution(0.0, 1.0),
}
GRID = {"lr": 3, "batch": None, "not_searched": None}


def study_on(storage: Any, seed: int = 0) -> optuna.Study:
    sampler = GridThenRandomSampler(GRID, seed)
    sampler.fit(SPACE)
    return optuna.create_study(
        study_name="s", storage=storage, sampler=sampler, load_if_exists=True
    )


def points(study: optuna.Study) -> list[tuple[float, int]]:
    return [(round(t.params["lr"], 6), t.params["batch"]) for t in study.trials]


def test_the_grid_comes_first_and_only_once_over_restarts() -> None:
    storage = optuna.storages.InMemoryStorage()
    study = study_on(storage)
    for _ in range(3):
        study.tell(study.ask(SPACE), 0.0)
    again = study_on(storage)
    for _ in range(3):
        again.tell(again.ask(SPACE), 0.0)
    every = {(lr, batch) for lr in (1e-4, 1e-3, 1e-2) for batch in (16, 32)}
    assert set(points(again)) == every
    assert len({trial.params["decay"] for trial in again.trials}) == 6
    for _ in range(20):
        again.tell(again.ask(SPACE), 0.0)
    assert len({trial.params["lr"] for trial in again.trials[6:]}) == 20


def test_trials_in_flight_hold_different_points() -> None:
    study = study_on(None)
    for _ in range(6):
        study.ask(SPACE)
    assert len(set(points(study))) == 6


def test_an_interrupted_trial_comes_back_with_its_point_and_takes_no_other() -> None:
    study = study_on(None)
    first = study.ask(SPACE)
    study.tell(first, state=TrialState.FAIL)
    study.enqueue_trial(first.params)
    for _ in range(6):
        study.ask(SPACE)
    assert points(study)[1] == points(study)[0]
    assert len(set(points(study)[1:])) == 6


def test_a_range_with_one_point_is_no_grid() -> None:
    with pytest.raises(ValueError, match=r"grid\.lr=1"):
        GridThenRandomSampler({"lr": 1})
