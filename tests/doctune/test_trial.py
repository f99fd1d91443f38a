"""A job stores its trial's end itself where the search that has started it may be gone."""

import contextlib
import math
from typing import Any

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.trial import TrialState

from doctune.launcher.job.ends import ask_for_end
from doctune.launcher.job.portable import JobEndedError, PortableTask
from doctune.study.ownership import Owner, this_process
from doctune.study.queue import reserve
from doctune.trial import RunningTrial

HERE = this_process()
GONE = {**HERE, "pid": 2**22 + 1, "started": 1.0}
ELSEWHERE = {**GONE, "place": "another machine"}


def state(owner: Owner, returned: Any, error: Exception | None = None) -> TrialState:
    """Return the state of a trial whose job has ended so."""
    study = optuna.create_study()
    number = reserve(study, owner).number
    RunningTrial(study, number, prune=False).end_without_search(returned, error)
    return study.trials[number].state


@pytest.mark.parametrize("owner", [GONE, ELSEWHERE])
def test_without_its_search_it_is_kept(owner: Owner) -> None:
    assert state(owner, 0.5) is TrialState.COMPLETE
    assert state(owner, None, optuna.TrialPruned()) is TrialState.PRUNED


def test_a_search_that_lives_tells_its_trials_itself() -> None:
    assert state(HERE, 0.5) is TrialState.RUNNING


def test_what_failed_runs_again() -> None:
    assert state(GONE, None, RuntimeError()) is TrialState.RUNNING
    assert state(GONE, math.nan) is TrialState.RUNNING
    assert state(GONE, "0.5 or so") is TrialState.RUNNING


@pytest.mark.parametrize("rank", ["SLURM_PROCID", "SUBMITIT_LOCAL_GLOBALID"])
def test_of_several_tasks_the_first_one_speaks(rank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(rank, "0")
    assert state(GONE, 0.5) is TrialState.COMPLETE
    monkeypatch.setenv(rank, "1")
    assert state(GONE, 0.5) is TrialState.RUNNING


def test_each_job_tells_its_own_end_once() -> None:
    told: list[Any] = []

    def job(config: Any) -> float:
        if config.asks:
            # As one does that asks for its trial twice.
            ask_for_end(lambda returned, error: told.append("an earlier one"))
            ask_for_end(lambda returned, error: told.append((returned, type(error))))
        if config.error:
            raise {"runtime": RuntimeError, "exit": SystemExit}[config.error]
        return 0.5

    task = PortableTask(job)
    for asks, error in ((1, ""), (0, ""), (1, "runtime"), (0, ""), (1, "exit"), (0, "")):
        with contextlib.suppress(RuntimeError, JobEndedError):
            task(OmegaConf.create({"asks": asks, "error": error}))
    assert told == [(0.5, type(None)), (None, RuntimeError)]
