"""A search on a real Ray of this machine, and what Ray is asked for."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf

from doctune.launcher.job.run import JobContext
from doctune.launcher.on_ray import RayJobs
from tests.doctune.conftest import app_environment, load_study, sqlite
from tests.waiting import PATIENCE


@pytest.mark.parametrize("options", [{}, {"max_retries": 2}])
def test_ray_is_asked_to_run_a_job_once_unless_it_is_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, int]
) -> None:
    """Ray itself would run it four times before anybody hears of it."""
    asked: list[dict[str, Any]] = []

    def remote(**given: Any) -> Callable[[Any], Any]:
        asked.append(given)
        return lambda function: function

    ray = SimpleNamespace(is_initialized=lambda: True, remote=remote)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(JobContext, "capture", lambda _: None)
    jobs = RayJobs(SimpleNamespace(ray_cfg=OmegaConf.create({"init": {}, "remote": options})))
    jobs._start()
    assert asked == [{"max_retries": 0, **options}]


# As test_job_ends has it of one start of Ray; here the trials are more, and of two slots.
@pytest.mark.thorough
def test_two_slots_begin_at_once_and_a_killed_trial_runs_as_often_as_is_said(
    tmp_path: Path,
) -> None:
    pytest.importorskip("ray")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.doctune.app", "-m", "hydra/sweeper=optuna_async"),
            *("hydra/launcher=ray", "hydra.sweeper.n_jobs=2", "hydra.sweep.dir=sweep"),
            *("+x=choice(0,1)", "+fault=choice(none,killed)", "hydra/sweeper/sampler=grid"),
            *("hydra.sweeper.n_trials=4", "hydra.sweeper.max_failure_rate=1"),
            *("hydra.sweeper.retries=1", "hydra.sweeper.trial_timeout=600"),
            *("hydra.sweeper.direction=maximize",),
        ],
        cwd=tmp_path,
        env=app_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    trials = load_study(sqlite(tmp_path)).trials
    ended = Counter((trial.params["+fault"], trial.state.name) for trial in trials)
    assert ended == {("none", "COMPLETE"): 2, ("killed", "FAIL"): 4}
    killed = [path.read_text() for path in (tmp_path / "sweep").glob("*/killed")]
    assert killed == ["once\n"] * 4
    assert "cannot end a trial that hangs" not in done.stdout
