"""Ctrl-C, SIGTERM and kill -9: how a search ends, and how the same command goes on."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import optuna
import psutil
import pytest
from optuna.trial import TrialState

from doctune.study.lock import study_lock
from doctune.study.storage import open_storage
from tests.doctune.conftest import (
    app_command,
    app_environment,
    load_study,
    on_sqlite,
    stored_in,
)
from tests.doctune.killing import workers
from tests.doctune.sweeper.in_process import OURS, Searches
from tests.doctune.sweeper.in_process import search as search
from tests.preloaded import WithItsWorkers
from tests.waiting import PATIENCE, wait_until

Load = Callable[[], optuna.Study]
COMMAND = (
    *("+x=interval(-5.0,5.0)", "hydra.sweeper.n_trials=4"),
    "hydra.sweeper.on_end=tests.doctune.app.write_results",
    "hydra.sweeper.on_complete=tests.doctune.app.note_the_end",
)


def running(
    folder: Path, url: str, begin: "type[subprocess.Popen[str]]" = WithItsWorkers
) -> "subprocess.Popen[str]":
    """Start a sweep whose trials stop at their third step, and return when two are there."""
    process = begin(
        app_command(*COMMAND, *stored_in(url), "+steps=20", "+gate=gate", "+gate_at=3"),
        cwd=folder,
        env=app_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def both_are_there() -> bool:
        if not (folder / "sweep" / "1").exists():
            return False
        trials = load_study(url).get_trials(states=(TrialState.RUNNING,))
        return [len(trial.intermediate_values) for trial in trials] == [3, 3]

    wait_until(both_are_there, process)
    return process


def check_goes_on(search: Searches, url: str, load: Load, interrupted: set[float]) -> str:
    """Run the same search to its end, which runs what was interrupted again.

    In this process; the very command goes on in test_kills.
    """
    again = search(*COMMAND, *stored_in(url))
    assert again.code == 0, again.said
    complete = load().get_trials(states=(TrialState.COMPLETE,))
    assert len(complete) == 4
    assert interrupted <= {trial.params["+x"] for trial in complete}
    assert not load().get_trials(states=(TrialState.RUNNING, TrialState.WAITING))
    return again.said


@pytest.mark.parametrize(
    ("url", "number"),
    [
        ("sqlite", signal.SIGINT),
        # As test_outage has it of a server that is away meanwhile.
        pytest.param("postgresql", signal.SIGTERM, marks=pytest.mark.thorough),
    ],
    indirect=["url"],
)
def test_the_first_signal_ends_cleanly(
    tmp_path: Path, url: str, search: Searches, load: Load, number: signal.Signals
) -> None:
    process = running(tmp_path, url)
    children = workers(process.pid)
    assert len(children) == 2
    interrupted = {trial.params["+x"] for trial in load().trials}
    process.send_signal(number)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert "stopped with 0 of 4 trials finished; trials [0, 1] run again next time" in output
    assert "The same command goes on:\n  python -m tests.doctune.app -m hydra/sweeper" in output
    assert "Traceback" not in output
    assert not load().get_trials(states=(TrialState.RUNNING,))
    assert (tmp_path / "sweep" / "results").read_text() == "4 trials"
    assert not (tmp_path / "sweep" / "complete").exists()
    assert not psutil.wait_procs(children, timeout=PATIENCE)[1]
    check_goes_on(search, url, load, interrupted)
    assert (tmp_path / "sweep" / "complete").read_text() == "6 trials, None"


@on_sqlite
def test_the_second_signal_ends_at_once(
    tmp_path: Path, url: str, search: Searches, load: Load
) -> None:
    process = running(tmp_path, url)
    children = workers(process.pid)
    assert len(children) == 2
    interrupted = {trial.params["+x"] for trial in load().trials}
    # Nothing can be written while we hold the lock, so the clean end waits.
    with study_lock(url, open_storage(url), "sweep"):
        for _ in range(int(PATIENCE / 0.5)):
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.5)
                break
    assert process.returncode == 128 + signal.SIGINT
    assert not psutil.wait_procs(children, timeout=PATIENCE)[1]
    process.communicate()
    assert "were interrupted; they run again" in check_goes_on(search, url, load, interrupted)


def test_a_stop_before_the_first_trial_is_one_line(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            # Without workers, whose start would only take time.
            *(sys.executable, "-m", "tests.doctune.app", "-m", *OURS, *COMMAND),
            "hydra.sweeper.on_start=tests.doctune.app.take_long_to_start",
        ],
        cwd=tmp_path,
        env=app_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background has switched it off for all that they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_until((tmp_path / "starting").exists, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGINT
    assert errors.splitlines()[-1].startswith("stopped; the same command goes on")
    assert "Traceback" not in errors


# As test_kills has it, but for a search whose end nobody has taken note of.
@pytest.mark.thorough
@on_sqlite
def test_kill_nine_leaves_nothing_behind(tmp_path: Path, url: str) -> None:
    # A child of this process, which leaves it a zombie for a while.
    process = running(tmp_path, url, subprocess.Popen)
    children = workers(process.pid)
    assert len(children) == 2
    os.kill(process.pid, signal.SIGKILL)
    # Before anybody takes note of its end: its workers do not wait for that. How it goes on is in
    # test_kills.
    assert not psutil.wait_procs(children, timeout=PATIENCE)[1]
    process.communicate(timeout=PATIENCE)
