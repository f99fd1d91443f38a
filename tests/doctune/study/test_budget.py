"""When a search ends, and when a trial hangs."""

import pytest

from doctune.study.budget import HANGING, Budget
from doctune.sweeper.config import OptunaAsyncSweeperConf


def test_a_trial_hangs_when_it_is_well_over_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("doctune.study.budget.time.monotonic", lambda: now[0])
    budget = Budget(trial_timeout=10, n_jobs=1)
    now[0] += 10 * HANGING
    # Until then it ends by itself at its next report.
    assert not budget.hangs(100.0)
    now[0] += 1
    assert budget.hangs(100.0)
    assert not Budget(n_jobs=1).hangs(100.0)


def test_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("doctune.study.budget.time.monotonic", lambda: now[0])
    budget = Budget(timeout=60, n_jobs=1, started=100.0)
    assert budget.seconds_left == 60.0
    assert not budget.time_is_over
    now[0] = 160.0
    assert budget.time_is_over
    assert not Budget(n_jobs=1, started=0.0).time_is_over


def test_it_is_what_was_asked_for_with_as_many_trials_at_a_time_as_there_is_room_for() -> None:
    budget = Budget.of(OptunaAsyncSweeperConf(n_trials=7, n_jobs=8, timeout=5.0), n_jobs=2)
    assert (budget.n_trials, budget.n_jobs, budget.timeout) == (7, 2, 5.0)
