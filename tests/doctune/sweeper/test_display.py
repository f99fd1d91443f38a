"""What the screen says of a trial that has ended."""

import io

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial
from rich.console import Console

from doctune.study.budget import Budget
from doctune.sweeper.display import make_display


def shown(trial: FrozenTrial) -> str:
    study = optuna.create_study()
    study.add_trial(trial)
    screen = io.StringIO()
    display = make_display(study, Budget(n_trials=2, n_jobs=1), Console(file=screen))
    display.trial_finished(study.trials[0])
    return screen.getvalue()


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
    trial = create_trial(
        state=TrialState.PRUNED,
        intermediate_values={0: 0.25},
        user_attrs={"progress": "fold 1", **stopped},
    )
    assert f"{told} with 0.2500" in shown(trial)


@pytest.mark.parametrize(
    ("steps", "notes", "told"),
    [
        # Of an app that has raised TrialPruned at once.
        ({}, {}, "trial 0 pruned before its first report |"),
        ({}, {"stopped": "timeout"}, "trial 0 out of time before its first report |"),
        ({}, {"progress": "fold 1"}, "trial 0 pruned at fold 1 |"),
        ({3: 0.5}, {}, "trial 0 pruned at step 3 with 0.5000 |"),
    ],
)
def test_a_trial_that_has_said_nothing_was_at_no_step(
    steps: dict[int, float], notes: dict[str, str], told: str
) -> None:
    trial = create_trial(state=TrialState.PRUNED, intermediate_values=steps, user_attrs=notes)
    assert told in shown(trial)
