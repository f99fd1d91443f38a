"""What a study is told of a job's end."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from doctune.launcher.slurm.submission import JobTimeError
from doctune.study.budget import Budget
from doctune.study.study import was_interrupted
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


def test_an_outage_while_a_trial_is_put_back_costs_it_no_try() -> None:
    study = optuna.create_study(study_name="s")
    budget = Budget(n_trials=2, retries=1, max_failure_rate=1.0)
    outages = [StorageInternalError("away"), StorageInternalError("still away")]

    @contextlib.contextmanager
    def lock() -> Iterator[None]:
        if outages:
            raise outages.pop()
        yield

    teller = Teller(study, budget, FailureWindow(budget), lock)
    ended: Future[Any] = Future()
    ended.set_exception(ConnectionResetError())

    def tell(entry: InFlight) -> None:
        entry.trial.suggest_float("x", 0.0, 1.0)
        # As the loop does, again and again.
        while not study.trials[entry.trial.number].state.is_finished():
            with contextlib.suppress(StorageInternalError):
                teller.end_of_job(entry, ended, stopping=False)

    tell(InFlight(study.ask()))
    lost, again = study.trials
    assert was_interrupted(lost)
    assert again.state is TrialState.WAITING
    assert again.user_attrs["attempts"] == 1
    # It has no other.
    tell(InFlight(study.ask()))
    assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 2
    assert not was_interrupted(study.trials[1])
