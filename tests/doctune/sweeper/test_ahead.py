"""The next trials are asked for while others run, where a worker would wait for them."""

import io
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest
from hydra.core.utils import JobReturn
from optuna.trial import TrialState
from rich.console import Console

from doctune.space.search_space import build_search_space
from doctune.study.budget import Budget
from doctune.study.lock import creation_lock, study_lock
from doctune.study.ownership import Watch, this_process
from doctune.study.queue import Asker, fresh_trial, next_trial
from doctune.study.storage import open_storage
from doctune.study.study import finished, was_interrupted
from doctune.study.window import windowed
from doctune.sweeper.ahead import Ahead
from doctune.sweeper.display import make_display
from doctune.sweeper.loop import AsyncLoop
from tests.doctune.conftest import sqlite
from tests.doctune.launcher.jobs import job
from tests.doctune.launcher.test_workers import Make, make, start  # noqa: F401
from tests.waiting import wait_until


@pytest.mark.parametrize(
    ("asking", "trial", "most", "count"),
    [
        (0.03, 60.0, 4, 0),
        (0.03, 0.7, 4, 0),
        (0.03, 0.5, 1, 1),
        (0.03, 0.1, 4, 2),
        (0.3, 0.1, 4, 4),
        # A launcher that would start it at once.
        (0.3, 0.1, 0, 0),
    ],
)
def test_as_many_are_ready_as_would_be_waited_for(
    asking: float, trial: float, most: int, count: int
) -> None:
    ahead = Ahead(most)
    ahead.asked(asking)
    # Nothing is known of how long a trial takes.
    assert ahead.count == 0
    ahead.ended(trial)
    assert ahead.count == count


class OneAtATime:
    """A launcher that holds what is handed over until a job has ended.

    Args:
        waits_from: from this trial on a job ends when another is held, however slow the machine.
        last: the number of the last trial, after which there is none.
    """

    def __init__(self, waits_from: int, last: int) -> None:
        self._waits_from, self._last = waits_from, last
        self._worker = ThreadPoolExecutor(1)
        self._began: dict[int, float] = {}
        self.held: list[int] = []
        self._handed_over = 0

    def launch(self, overrides: Sequence[str], number: int) -> JobReturn:
        self._handed_over += 1
        return self._worker.submit(self._run, number).result()

    def _run(self, number: int) -> JobReturn:
        self._began[number] = time.monotonic()
        # The next one may be handed over meanwhile.
        time.sleep(0.02)
        if self._waits_from <= number < self._last:
            wait_until(lambda: self._handed_over > len(self._began))
        self.held.append(self._handed_over - len(self._began))
        return job(0.5)

    def began(self, number: int) -> float | None:
        return self._began.get(number)

    def waits(self, number: int) -> bool:
        return number not in self._began

    def cancel(self, number: int) -> None:
        raise AssertionError(f"trial {number} does not hang")

    def room(self, most: int) -> int:
        return most

    def most_ahead(self, at_once: int) -> int:
        return at_once


@pytest.mark.parametrize("ahead", [True, False])
def test_a_worker_finds_its_next_job_when_trials_are_short(tmp_path: Path, ahead: bool) -> None:
    """Unless one trial after the other is to know the last one's result, as with a seed."""
    url = sqlite(tmp_path)
    storage = open_storage(url)
    study = optuna.create_study(study_name="s", storage=storage)
    budget = Budget(n_trials=12, n_jobs=1)
    # The first ones tell how long a trial takes, and to ask for one.
    jobs = OneAtATime(waits_from=4 if ahead else budget.n_trials, last=budget.n_trials - 1)
    AsyncLoop(
        study,
        build_search_space(None, [], ["x=interval(0.0,1.0)"]),
        jobs,
        budget,
        make_display(study, budget, Console(file=io.StringIO())),
        lock=lambda: study_lock(url, storage, "s"),
        ahead=ahead,
    ).run()
    assert finished(study) == len(study.trials) == 12
    assert max(jobs.held) == int(ahead)


def test_a_job_that_is_cancelled_while_it_waits_for_a_worker_never_begins(
    make: Make,  # noqa: F811
    tmp_path: Path,
) -> None:
    pool = make()
    first, _ = start(pool, tmp_path / "gate")
    second = ThreadPoolExecutor(1).submit(pool.run, [], 2)
    wait_until(second.running)
    assert pool.began(1) is not None
    pool.cancel(2)
    with pytest.raises(CancelledError):
        second.result()
    assert pool.began(2) is None
    (tmp_path / "gate").touch()
    first.result()


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    """Return a study whose sampler may propose without the lock."""
    sampler = windowed(optuna.samplers.TPESampler(), 100)
    storage = open_storage(sqlite(tmp_path))
    return optuna.create_study(study_name="s", storage=storage, sampler=sampler)


def test_a_trial_is_created_apart_only_where_there_is_plainly_room(study: optuna.Study) -> None:
    url = str(study._storage._backend.engine.url)  # type: ignore[attr-defined]
    asker = Asker(this_process(), Watch(10.0), set())

    def ask(n_trials: int) -> optuna.Trial | None:
        lock = study_lock(url, open_storage(url), "s")
        trial = fresh_trial(study, Budget(n_trials=n_trials), asker, {"a": 1}, lambda: lock)
        if trial is not None:
            asker.in_flight.add(trial.number)
        return trial

    assert ask(1) is None
    first = ask(4)
    assert first is not None
    assert first.user_attrs["a"] == 1
    assert ask(4) is not None
    # As many are left as run, and each process that runs one may ask now.
    assert ask(4) is None
    study.enqueue_trial({"x": 0.5})
    assert ask(100) is None


def test_a_trial_too_many_is_given_up(study: optuna.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may start theirs between the look and the creation."""
    url = str(study._storage._backend.engine.url)  # type: ignore[attr-defined]
    asker = Asker(this_process(), Watch(10.0), set())
    budget = Budget(n_trials=2)

    class Others:
        def __enter__(self) -> None:
            study.add_trials(done.trials)

        def __exit__(self, *_: object) -> None:
            pass

    done = optuna.create_study()
    done.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=2)
    assert fresh_trial(study, budget, asker, {}, Others) is None
    assert was_interrupted(study.trials[-1])
    assert finished(study) == 2
    with study_lock(url, open_storage(url), "s"):
        assert next_trial(study, budget, asker) == (None, [])


def test_many_that_ask_at_once_make_no_trial_too_many(url: str) -> None:
    opened = open_storage(url)
    optuna.create_study(study_name="s", storage=opened)
    budget = Budget(n_trials=30)

    def serve(worker: int) -> int:
        study = optuna.load_study(study_name="s", storage=opened)
        # As if each were on a machine of its own.
        me = {**this_process(), "place": f"machine {worker}"}
        asker, apart = Asker(me, Watch(60.0), set()), 0
        while True:
            trial = fresh_trial(study, budget, asker, {}, lambda: creation_lock(url, opened, "s"))
            apart += trial is not None
            if trial is None:
                with study_lock(url, opened, "s"):
                    trial, _ = next_trial(study, budget, asker)
            if trial is None:
                return apart
            asker.in_flight.add(trial.number)
            study.tell(trial, 0.5)

    with ThreadPoolExecutor(4) as workers:
        apart = sum(workers.map(serve, range(4)))
    study = optuna.load_study(study_name="s", storage=opened)
    assert finished(study) == 30
    assert all(one.state is TrialState.COMPLETE or was_interrupted(one) for one in study.trials)
    assert apart > 10
