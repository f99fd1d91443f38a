"""What the screen says of a trial that has ended."""

import io

import optuna
import pytest
from optuna.trial import TrialState, create_trial
from rich.console import Console

from doctune.study.budget import Budget
from doctune.sweeper.display import make_display


@pytest.mark.parametrize(
    ("stopped", "told"),
    [
        ({"stopped": "pruner"}, "trial 0 pruned at fold 1"),
        # Of an app that raises TrialPruned itself.
        ({}, "trial 0 pruned at fold 1"),
        ({"stopped": "timeout"}, "trial 0 out of time at fold 1"),
        ({"stopped": "trial_timeout"}, "trial 0 out of time at fold 1"),
    ],
)
def test_a_limit_of_time_is_told_from_the_pruner(stopped: dict[str, str], told: str) -> None:
    study = optuna.create_study()
    study.add_trial(
        create_trial(
            state=TrialState.PRUNED,
            intermediate_values={0: 0.25},
            user_attrs={"progress": "fold 1", **stopped},
        )
    )
    screen = io.StringIO()
    display = make_display(study, Budget(n_trials=2, n_jobs=1), Console(file=screen))
    display.trial_finished(study.trials[0])
    assert f"{told} with 0.2500" in screen.getvalue()
