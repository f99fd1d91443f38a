"""What a study is told of a job's end."""

import contextlib
from concurrent.futures import Future
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from doctune.launcher.slurm.submission import JobTimeError
from doctune.study.budget import Budget
from doctune.sweeper.failures import FailureWindow
from doctune.sweeper.telling import InFlight, Teller


@pytest.mark.parametrize("reported", [True, False])
def test_a_trial_whose_job_had_no_more_time_keeps_what_it_has_reported(reported: bool) -> None:
    study = optuna.create_study(study_name="s")
    budget = Budget(n_trials=2, max_failure_rate=1.0)
    teller = Teller(study, budget, FailureWindow(budget), contextlib.nullcontext)
    trial = study.ask()
    if reported:
        trial.report(0.5, 0)
    ended: Future[Any] = Future()
    ended.set_exception(JobTimeError(5))
    teller.end_of_job(InFlight(trial), ended, stopping=False)
    (told,) = study.trials
    if reported:
        assert told.state is TrialState.PRUNED
        assert told.user_attrs["stopped"] == "job_time"
    else:
        assert told.state is TrialState.FAIL
        assert "hydra.launcher.timeout_min=5; raise it" in told.user_attrs["error"]
