"""What a search promises holds on each launcher that the docs name, not on `workers` alone.

Shorter tests hold most of it on `workers`, in `tests/doctune/sweeper`; Ctrl-C is in test_submitted.
"""

import math
import signal
from collections import Counter
from pathlib import Path

import psutil
import pytest
from optuna.trial import TrialState

from doctune.study.study import was_interrupted
from tests.doctune.conftest import load_study, sqlite
from tests.doctune.engines import ENGINES, Start, family_of, job_processes, reported
from tests.doctune.engines import start as start
from tests.doctune.slurm.cluster import slurm as slurm
from tests.doctune.sweeper.in_process import Searches
from tests.doctune.sweeper.in_process import search as search
from tests.waiting import PATIENCE

X = "+x=interval(-5.0,5.0)"
TWO = "hydra.sweeper.n_jobs=2"
# Two steps; the second waits for the gate.
GATED = ("+steps=2", "+gate=gate", "+gate_at=1")
# Launchers whose jobs are no children of the search, and end their trials without it.
OUTLIVING = ("joblib", "submitit_local", "submitit_slurm")

on_each = pytest.mark.parametrize(
    "engine", [pytest.param(name, marks=pytest.mark.thorough) for name in ENGINES]
)


def states(folder: Path) -> Counter[str]:
    trials = load_study(sqlite(folder)).trials
    return Counter("LOST" if was_interrupted(one) else one.state.name for one in trials)


@on_each
def test_trials_end_are_pruned_and_are_tried_again(
    start: Start, tmp_path: Path, engine: str
) -> None:
    command = (
        *("+x=choice(1.0,4.0)", "+fault=choice(none,killed_once)", "hydra/sweeper/sampler=grid"),
        *("+steps=4", TWO, "hydra.sweeper.n_trials=4"),
        # joblib loses the trial beside a killed one as well.
        f"hydra.sweeper.retries={3 if engine == 'joblib' else 1}",
        "+hydra.sweeper.pruner={_target_: optuna.pruners.ThresholdPruner, lower: -5}",
    )
    start(engine, *command).end()
    trials = load_study(sqlite(tmp_path)).trials
    real = [one for one in trials if not was_interrupted(one)]
    assert len({tuple(one.params.values()) for one in real}) == len(real) == 4
    for one in real:
        if one.params["+x"] == 1.0:
            assert (one.state, one.value) == (TrialState.COMPLETE, 0.0)
            assert one.intermediate_values == dict.fromkeys(range(4), 0.0)
        else:
            assert (one.state, one.value) == (TrialState.PRUNED, -9.0)
            assert one.intermediate_values == {0: -9.0}
    lost = {(one.params["+x"], one.params["+fault"]) for one in trials if was_interrupted(one)}
    killed = {(1.0, "killed_once"), (4.0, "killed_once")}
    assert lost >= killed if engine == "joblib" else lost == killed
    # In folders of their own; one beside a killed one may not have got that far.
    made = {path.parent.name for path in (tmp_path / "sweep").glob("[0-9]*/.hydra")}
    assert made >= {str(one.number) for one in real}
    assert "has its 4 trials already" in start(engine, *command).end()


@on_each
def test_kill_nine_loses_and_repeats_nothing(start: Start, tmp_path: Path, engine: str) -> None:
    command = (X, *GATED, TWO, "hydra.sweeper.n_trials=4")
    search = start(engine, *command)
    search.until(lambda: reported(tmp_path) == 2)
    family = family_of(search)
    search.process.send_signal(signal.SIGKILL)
    search.end(-signal.SIGKILL)
    if engine not in OUTLIVING:
        assert not psutil.wait_procs(family, timeout=PATIENCE)[1]
    again = start(engine, *command)
    (tmp_path / "gate").touch()
    again.end()
    study = load_study(sqlite(tmp_path))
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    assert len({one.params["+x"] for one in complete}) == len(complete) == 4
    for one in complete:
        assert one.value == pytest.approx(-((one.params["+x"] - 1) ** 2))
    # Those that ran end where they are, or run again.
    lost = 0 if engine in OUTLIVING else 2
    assert states(tmp_path) == Counter({"COMPLETE": 4, "LOST": lost}) + Counter()
    assert "has its 4 trials already" in start(engine, *command).end()


@on_each
def test_time_is_limited_for_a_trial_and_for_all(start: Start, tmp_path: Path, engine: str) -> None:
    slow = (X, "+steps=2400", "+seconds=600", TWO)
    start(engine, *slow, "hydra.sweeper.n_trials=2", "hydra.sweeper.trial_timeout=12").end()
    # As long again, which is enough for a launcher's start on a machine that is as busy as now.
    took = [one.duration for one in load_study(sqlite(tmp_path)).trials]
    seconds = math.ceil(max(one.total_seconds() for one in took if one))
    limits = ("hydra.sweeper.n_trials=50", f"hydra.sweeper.timeout={seconds}")
    said = start(engine, *slow, *limits).end()
    assert f"time is over after {seconds} s (hydra.sweeper.timeout)" in said
    trials = load_study(sqlite(tmp_path)).trials
    assert {one.state for one in trials} == {TrialState.PRUNED}
    stopped = [one.user_attrs["stopped"] for one in trials]
    assert (stopped[:2], set(stopped[2:])) == (["trial_timeout"] * 2, {"timeout"})


@on_each
def test_failures_over_the_rate_end_the_search_and_all_that_runs(
    start: Start, tmp_path: Path, engine: str
) -> None:
    words = ("+x=choice(1.0,4.0)", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=2")
    # One waits for a gate that never opens, or for its start; the other one fails when it waits.
    search = start(engine, *words, *GATED, TWO, "+fails_at=4.0")
    search.until(lambda: reported(tmp_path) == 2)
    family = [*family_of(search), *job_processes(tmp_path)]
    (tmp_path / "fails").touch()
    said = search.end(code=1)
    assert "hydra.sweeper.max_failure_rate=0 allows" in said.splitlines()[-1]
    assert not psutil.wait_procs(family, timeout=PATIENCE)[1]
    assert states(tmp_path) == {"FAIL": 1, "LOST": 1, "WAITING": 1}


def test_joblib_with_one_process_runs_one_trial_at_a_time(search: Searches) -> None:
    """In this process, where two would share Hydra's state."""
    words = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=1", TWO, "hydra.sweeper.n_trials=2")
    done = search(X, *words, "+steps=2")
    assert "hydra/launcher=joblib runs one trial at a time, not 2" in done.said
    assert states(done.folder) == {"COMPLETE": 2}
    for one in done.study.trials:
        value = pytest.approx(-((one.params["+x"] - 1) ** 2))
        assert list(one.intermediate_values.values()) == [value, value]
