"""Several processes serve one study: real ones where they compete, and one where rules are told."""

import io
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from hydra.core.utils import JobReturn
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import TrialState
from rich.console import Console

from doctune.space.search_space import build_search_space
from doctune.study import ownership
from doctune.study.budget import Budget
from doctune.study.lock import study_lock
from doctune.study.ownership import MISSING_HEARTBEATS, Heartbeat, Watch, this_process
from doctune.study.queue import (
    Asker,
    interrupt,
    next_trial,
    requeue_interrupted,
    reserve,
)
from doctune.study.storage import open_storage
from doctune.study.study import finished, was_interrupted
from doctune.sweeper.display import make_display
from doctune.sweeper.loop import AsyncLoop
from tests.doctune.conftest import sqlite
from tests.doctune.killing import Victim
from tests.doctune.launcher.jobs import job
from tests.waiting import PATIENCE, wait_until

SPACE: dict[str, BaseDistribution] = {"x": FloatDistribution(0.0, 1.0)}


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    """Return a study for rules that ask nothing of a storage but attributes."""
    return optuna.create_study(study_name="s", storage=open_storage(sqlite(tmp_path)))


def ask(study: optuna.Study, owner: ownership.Owner | None = None) -> optuna.Trial:
    trial = reserve(study, owner or this_process())
    for name, distribution in SPACE.items():
        trial._suggest(name, distribution)
    return trial


def elsewhere() -> ownership.Owner:
    return {"host": "other", "place": "other machine", "pid": 1, "started": 0.0}


def dead() -> ownership.Owner:
    process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(0,))
    process.start()
    owner = {**this_process(), "pid": process.pid}
    process.join()
    return owner


def look(study: optuna.Study, watch: Watch) -> list[int]:
    nothing_left = Budget(n_trials=0, n_jobs=1)
    trial, orphans = next_trial(study, nothing_left, Asker(dead(), watch, set()))
    assert trial is None
    return [trial.number for trial in orphans]


def test_a_dead_process_loses_its_trials_at_once_and_a_live_one_never(study: optuna.Study) -> None:
    mine, lost = ask(study), ask(study, dead())
    watch = Watch(heartbeat=0.0)
    assert look(study, watch) == [lost.number]
    assert look(study, watch) == []
    queued = study.get_trials(states=(TrialState.WAITING,))
    assert [trial.system_attrs["fixed_params"] for trial in queued] == [lost.params]
    assert [trial.user_attrs["continues"] for trial in queued] == [lost.number]
    assert study.trials[mine.number].state is TrialState.RUNNING
    assert was_interrupted(study.trials[lost.number])


def test_a_clock_that_is_set_takes_no_trial_away(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(study)
    boot_time, create_time = psutil.boot_time(), psutil.Process.create_time
    # What it does to the times that the system tells.
    monkeypatch.setattr("psutil.boot_time", lambda: boot_time + 3600)
    monkeypatch.setattr("psutil.Process.create_time", lambda process: create_time(process) + 3600)
    assert look(study, Watch(heartbeat=10.0)) == []


def test_an_id_that_was_given_out_again_is_another_process(study: optuna.Study) -> None:
    ask(study, {**this_process(), "started": 1.0})
    assert look(study, Watch(heartbeat=10.0)) == [0]


def test_another_machine_is_judged_by_its_heartbeat(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("doctune.study.ownership.time.monotonic", lambda: now[0])
    trial = ask(study, elsewhere())
    watch = Watch(heartbeat=10.0)
    for beat in range(5):
        trial.set_user_attr("heartbeat", beat)
        assert look(study, watch) == []
        # Whatever its clock says, and however long it runs.
        now[0] += 10.0 * MISSING_HEARTBEATS - 1
    assert look(study, watch) == []
    now[0] += 10.0 * MISSING_HEARTBEATS
    assert look(study, watch) == [trial.number]


def test_a_job_that_outlives_its_sweep_keeps_its_trial(study: optuna.Study) -> None:
    trial = ask(study, dead())
    trial.set_user_attr("runner", this_process())
    assert look(study, Watch(heartbeat=0.0)) == []
    trial.set_user_attr("runner", dead())
    assert look(study, Watch(heartbeat=0.0)) == [trial.number]


def test_trials_of_other_programs_are_left_alone(study: optuna.Study) -> None:
    study.ask(SPACE)
    assert look(study, Watch(heartbeat=0.0)) == []
    # And nobody waits for them.
    asker = Asker(this_process(), Watch(heartbeat=0.0), set())
    assert next_trial(study, Budget(n_trials=1, n_jobs=1), asker)[0] is not None


def test_the_heartbeat_beats_until_the_trial_ends(study: optuna.Study) -> None:
    trial = ask(study)
    with Heartbeat(study._storage, 0.01, [trial._trial_id]) as heart:
        seen: set[object] = set()

        def three_beats() -> bool:
            seen.add(study.trials[0].user_attrs.get("heartbeat"))
            return len(seen) >= 3

        wait_until(three_beats, seconds=60)
        study.tell(trial, 1.0)
        wait_until(lambda: trial._trial_id not in heart._trial_ids, seconds=60)


def test_a_trial_that_was_lost_between_two_steps_is_made_up_for(study: optuna.Study) -> None:
    """A process may die after it ended an orphan and before it queued it again."""
    trial = ask(study)
    interrupt(study, study.trials[trial.number])
    assert len(study.trials) == 1
    requeue_interrupted(study)
    requeue_interrupted(study)
    assert len(study.trials) == 2
    again = reserve(study, this_process())
    again._suggest("x", SPACE["x"])
    assert again.params == trial.params


def test_what_is_finished_meanwhile_stays_finished(study: optuna.Study) -> None:
    trial = ask(study)
    frozen = study.trials[trial.number]
    study.tell(trial, 1.0)
    interrupt(study, frozen)
    requeue_interrupted(study)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE]
    assert finished(study) == 1


class Jobs:
    """Runs jobs in the process of their loop; one such process dies with a trial in hand."""

    def __init__(self, taken: Any, crash: bool) -> None:
        self._taken = taken
        self._crash = crash

    def launch(self, overrides: Sequence[str], number: int) -> JobReturn:
        if number > 2 and self._crash:
            self._taken.set()
            os.kill(os.getpid(), signal.SIGKILL)
        if number > 2:
            # The one that crashes has to get a trial at all.
            assert self._taken.wait(PATIENCE)
        return job(float(overrides[0].removeprefix("x=")))

    def began(self, number: int) -> float:
        return time.monotonic()

    def waits(self, number: int) -> bool:
        return False

    def cancel(self, number: int) -> None:
        raise AssertionError(f"trial {number} does not hang")

    def room(self, most: int) -> int:
        return most

    def most_ahead(self, at_once: int) -> int:
        return 0


def compete(url: str, n_trials: int, ready: Any, taken: Any, crash: bool) -> None:
    """Serve the study as a sweep does."""
    storage = open_storage(url)
    study = optuna.load_study(study_name="s", storage=storage)
    budget = Budget(n_trials=n_trials, n_jobs=1)
    loop = AsyncLoop(
        study,
        build_search_space(None, [], ["x=interval(0.0,1.0)"]),
        Jobs(taken, crash),
        budget,
        make_display(study, budget, Console(file=io.StringIO())),
        lock=lambda: study_lock(url, storage, "s"),
    )
    ready.wait(PATIENCE)
    loop.run()


# On SQLite the lock is held to it by test_two_processes_never_take_the_same_queued_trial.
@pytest.mark.parametrize(
    "storage", [pytest.param("sqlite", marks=pytest.mark.thorough), "postgresql", "journal"]
)
def test_n_trials_is_reached_exactly_by_processes_that_compete(
    tmp_path: Path, storage: str, copies: ForkServerContext, request: pytest.FixtureRequest
) -> None:
    url = f"{storage}:///{tmp_path / 'study'}"
    if storage == "postgresql":
        url = request.getfixturevalue("postgresql")
    optuna.create_study(study_name="s", storage=open_storage(url))
    ready, taken = copies.Barrier(4), copies.Event()
    others = [
        copies.Process(target=compete, args=(url, 10, ready, taken, crash))
        for crash in (False, False, False, True)
    ]
    for process in others:
        process.start()
    for process in others:
        process.join(timeout=250)
    assert [process.exitcode for process in others] == [0, 0, 0, -9]
    open_storage.cache_clear()
    trials = optuna.load_study(study_name="s", storage=open_storage(url)).trials
    assert [trial.number for trial in trials] == list(range(len(trials)))
    states = Counter("LOST" if was_interrupted(trial) else trial.state.name for trial in trials)
    assert states == {"COMPLETE": 10, "LOST": 1}
    values = {trial.value for trial in trials if trial.state is TrialState.COMPLETE}
    assert len(values) == 10
    lost = next(trial for trial in trials if was_interrupted(trial))
    assert lost.params["x"] in values


def runners(victim: Victim) -> Counter[int]:
    """Count the trials that have begun by the process that started them."""
    begun = [trial for trial in victim.trials() if "runner" in trial.user_attrs]
    return Counter(trial.user_attrs["owner"]["pid"] for trial in begun)


# As four processes of which one is killed compete above, on this storage as well.
@pytest.mark.thorough
def test_two_commands_share_the_work_and_one_takes_over(tmp_path: Path, postgresql: str) -> None:
    victim = Victim(tmp_path, postgresql, 0, n_trials=8)
    gate = tmp_path / "gate"
    first, second = (victim.start(f"+gate={gate}") for _ in range(2))
    wait_until(lambda: runners(victim) == {first.pid: 2, second.pid: 2}, first)
    assert second.poll() is None
    first.kill()
    first.communicate()
    gate.touch()
    output, _ = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0, output
    victim.check_complete()
    assert sum(was_interrupted(trial) for trial in victim.trials()) == 2
