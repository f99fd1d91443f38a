"""When a search ends, when a trial hangs, and which limits make sense."""

import pytest

from doctune.errors import UserError
from doctune.study.budget import HANGING, Budget, check_limits
from tests.conftest import Door


def test_a_trial_hangs_when_it_is_well_over_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("doctune.study.budget.time.monotonic", lambda: now[0])
    budget = Budget(n_trials=1, n_jobs=1, trial_timeout=10)
    now[0] += 10 * HANGING
    # Until then it ends by itself at its next report.
    assert not budget.hangs(100.0)
    now[0] += 1
    assert budget.hangs(100.0)
    assert not Budget(n_trials=1, n_jobs=1).hangs(100.0)


def test_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("doctune.study.budget.time.monotonic", lambda: now[0])
    budget = Budget(n_trials=1, n_jobs=1, timeout=60, started=100.0)
    assert budget.seconds_left == 60.0
    assert not budget.time_is_over
    now[0] = 160.0
    assert budget.time_is_over
    assert not Budget(n_trials=1, n_jobs=1, started=0.0).time_is_over


def test_limits() -> None:
    check_limits({"timeout": None, "max_failure_rate": 1.0, "other": -1})
    with pytest.raises(UserError, match=r"optuna\.retries: -1 is below 0"):
        check_limits({"retries": -1})


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("optuna.max_failure_rate=2", "optuna.max_failure_rate: 2.0 is above 1\n"),
        ("optuna.n_trials=0", "optuna.n_trials: 0 is below 1\n"),
        ("optuna.trial_timeout=-1", "optuna.trial_timeout: -1.0 is below 0\n"),
    ],
)
def test_a_limit_that_makes_no_sense_is_told_in_one_line(door: Door, word: str, told: str) -> None:
    assert door("src.train", "-m", "hparams_search=fast", "gpu=cpu", word, code=1) == told
