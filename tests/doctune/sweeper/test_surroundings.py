"""Searches where the surroundings are not as usual: clocks, terminals, homes, memory, neighbours.

The letters name reports: `optuna/optuna` (o).
"""

import contextlib
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from doctune.study.lock import study_lock
from doctune.study.ownership import this_process
from doctune.study.queue import reserve
from doctune.study.storage import open_storage
from doctune.trial import RunningTrial
from tests import preloaded
from tests.doctune.conftest import app_command, app_environment
from tests.doctune.sweeper.in_process import OURS, Searches
from tests.doctune.sweeper.in_process import search as search
from tests.preloaded import WithItsWorkers
from tests.waiting import PATIENCE, wait_until

ONE = "hydra.sweeper.n_trials=1"
X = "+x=interval(-5.0,5.0)"


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_a_storage_that_goes_away_for_a_while(
    search: Searches, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mounted folder, which others call NFS: o 815, o 4994."""
    monkeypatch.setattr("doctune.study.outage.PAUSE", 0.1)
    url = f"{kind}:///{tmp_path / 'mounted' / 'study'}"
    stored = f"hydra.sweeper.storage={url}"

    def back() -> None:
        wait_until((tmp_path / "away").exists, seconds=60)
        time.sleep(0.3)
        (tmp_path / "away").rename(tmp_path / "mounted")

    thread = threading.Thread(target=back)
    thread.start()
    words = ("+fault=choice(none,storage_away)", "+x=2", "hydra/sweeper/sampler=grid")
    done = search(*words, stored, "hydra.sweeper.n_trials=2")
    thread.join()
    assert done.code == 0, done.said
    assert "storage: it does not answer" in done.said
    assert "storage: it answers again" in done.said
    assert "Traceback" not in done.said
    study = optuna.load_study(study_name="sweep", storage=open_storage(url))
    assert [trial.value for trial in study.trials] == [-1.0, -1.0]


@pytest.mark.parametrize("jump", [86400.0, pytest.param(-86400.0, marks=pytest.mark.thorough)])
def test_a_clock_that_jumps_ends_nothing(
    search: Searches, jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, report, reported = time.time, RunningTrial.report, list[int]()

    def reporting(
        trial: RunningTrial, value: float, step: int, progress: str = "", **more: Any
    ) -> None:
        report(trial, value, step, progress, **more)
        reported.append(step)

    # It jumps while the first trial runs, whatever the machine's speed.
    monkeypatch.setattr(RunningTrial, "report", reporting)
    monkeypatch.setattr("time.time", lambda: real() + (jump if reported else 0.0))
    limits = ("hydra.sweeper.timeout=600", "hydra.sweeper.trial_timeout=300")
    done = search(X, *limits, "hydra.sweeper.n_trials=2", "+steps=3", "+seconds=0.3")
    assert Counter(trial.state.name for trial in done.study.trials) == {"COMPLETE": 2}


@pytest.mark.thorough
def test_two_searches_at_once_in_one_new_storage(tmp_path: Path) -> None:
    """o 820, o 894: each its own study, both in a file that neither finds."""
    processes = []
    for name in ("one", "two"):
        words = [
            sys.executable,
            "-m",
            "tests.doctune.app",
            "-m",
            *OURS[:2],
            f"hydra.sweep.dir={name}",
        ]
        words += [X, "hydra.sweeper.n_trials=4", f"hydra.sweeper.study_name={name}"]
        words += ["hydra.sweeper.storage=sqlite:///both.db"]
        processes.append(
            WithItsWorkers(
                words,
                cwd=tmp_path,
                env=app_environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    for process in processes:
        output, _ = process.communicate(timeout=250)
        assert process.returncode == 0, output
    storage = open_storage(f"sqlite:///{tmp_path / 'both.db'}")
    for name in ("one", "two"):
        trials = optuna.load_study(study_name=name, storage=storage).trials
        assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4
        assert len(list((tmp_path / name).glob("[0-9]/.hydra"))) == 4


def take_the_queue(url: str, ready: Any, rounds: int, locked: bool, found: Any) -> None:
    """Take a queued trial in each round, at the same moment as another process."""
    storage = open_storage(url)
    study = optuna.load_study(study_name="s", storage=storage)
    for _ in range(rounds):
        ready.wait()
        with study_lock(url, storage, "s") if locked else contextlib.nullcontext():
            trial = reserve(study, this_process())
        found.put(trial.number)


# That they would without it the lock's own test need not show each time.
@pytest.mark.parametrize("locked", [True, pytest.param(False, marks=pytest.mark.thorough)])
def test_two_processes_never_take_the_same_queued_trial(tmp_path: Path, locked: bool) -> None:
    """On SQLite the lock alone sees to that: without it they do, in a third of the rounds."""
    url, rounds = f"sqlite:///{tmp_path / 'study.db'}", 12 if locked else 40
    study = optuna.create_study(study_name="s", storage=open_storage(url))
    for number in range(2 * rounds):
        study.enqueue_trial({"x": number})
    context = multiprocessing.get_context("fork")
    open_storage(url).engine.dispose()  # type: ignore[attr-defined]
    open_storage.cache_clear()
    ready, found = context.Barrier(2), context.Queue()
    others = [
        context.Process(target=take_the_queue, args=(url, ready, rounds, locked, found))
        for _ in range(2)
    ]
    for process in others:
        process.start()
    taken = [found.get(timeout=250) for _ in range(2 * rounds)]
    for process in others:
        process.join(timeout=250)
        assert process.exitcode == 0
    assert (len(set(taken)) == 2 * rounds) is locked


def without_shared_memory() -> list[str]:
    """Return the words that start a command where /dev/shm cannot be used."""
    hide = 'mount -t tmpfs -o size=0,ro,mode=000 none /dev/shm && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", hide, "sh"]


def can_unshare() -> bool:
    if os.name != "posix" or not shutil.which("unshare") or os.getuid() != 0:
        return False
    return subprocess.run([*without_shared_memory(), "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not can_unshare(), reason="takes root, and a kernel that lets it mount")
def test_without_shared_memory_workers_say_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [*without_shared_memory(), *app_command(X, ONE)],
        cwd=tmp_path,
        env=app_environment(),
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 1
    assert "/dev/shm" in done.stderr
    assert "--shm-size" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_user_without_a_home(tmp_path: Path) -> None:
    """As in containers that run under a number: no HOME, and no name either."""
    environment = app_environment()
    for name in ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        environment.pop(name, None)
    words = [sys.executable, "-m", "tests.doctune.app", "-m", *OURS, X, ONE]
    done = preloaded.run(words, tmp_path, environment, PATIENCE)
    assert done.returncode == 0, done.stderr
    assert "1/1 finished" in done.stdout


def test_a_terminal_of_forty_columns_in_the_c_locale(tmp_path: Path) -> None:
    """As over a serial line, or in a container that knows no language."""
    narrow = {"COLUMNS": "40", "LINES": "12", "LANG": "C", "LC_ALL": "C", "TERM": "dumb"}
    words = [sys.executable, "-m", "tests.doctune.app", "-m", *OURS, "+name='문서'", X, ONE]
    done = subprocess.run(
        words,
        cwd=tmp_path,
        env={**app_environment(), **narrow},
        capture_output=True,
        encoding="utf-8",
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    assert "1/1 finished" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
