"""Pruning by the first of several objectives, which Optuna itself refuses."""

from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from doctune.study.study import prunable
from doctune.trial import RunningTrial


def study_of(*directions: Any) -> optuna.Study:
    study = optuna.create_study(
        directions=list(directions),
        sampler=optuna.samplers.TPESampler(
            seed=0, n_startup_trials=3, multivariate=True, group=True, constant_liar=True
        ),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=2),
    )
    return prunable(study)


def test_one_objective_stays_as_it_is() -> None:
    study = study_of("maximize")
    assert type(study) is optuna.Study


@pytest.mark.parametrize("first", ["maximize", "minimize"])
def test_bad_trials_are_pruned_by_the_first_objective(first: str) -> None:
    """And TPE goes on to sample from a study most of whose trials are pruned."""
    study = study_of(first, "minimize")
    sign = 1 if first == "maximize" else -1
    for number in range(30):
        trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
        running = RunningTrial(study, trial.number, prune=True)
        # The first two set the median; of the others only the last is any better.
        value = 0.5 if number < 2 else 0.9 if number == 29 else 0.1
        running.report(sign * value, 0)
        if number in (0, 1, 29):
            running.raise_if_over()
            running.end_as_complete([sign * value, trial.params["x"]])
            continue
        with pytest.raises(optuna.TrialPruned, match="pruner"):
            running.raise_if_over()
        running.end_as_pruned()
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.PRUNED) == 27
    assert len(study.directions) == 2
    assert study.best_trials
