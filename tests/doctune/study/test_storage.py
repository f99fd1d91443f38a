"""Storages under what a night brings: many writers, cut-off files, a full disk."""

import subprocess
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from doctune.study.ownership import this_process
from doctune.study.queue import reserve
from doctune.study.storage import open_storage
from doctune.study.study import finished, was_interrupted
from doctune.trial import RunningTrial
from tests.doctune.conftest import app_command, app_environment, load_study
from tests.doctune.sweeper.in_process import Searches
from tests.doctune.sweeper.in_process import search as search
from tests.preloaded import WithItsWorkers
from tests.waiting import PATIENCE, wait_until

REPORTS = 10
SPACE = "+x=interval(-5.0,5.0)"


def report_every_10_ms(url: str, ready: Any) -> None:
    """Do as a job does; any lock that is met is an error, and the exit code not 0."""
    study = optuna.load_study(study_name="sweep", storage=open_storage(url))
    number = reserve(study, this_process()).number
    trial = RunningTrial(study, number, prune=True)
    ready.wait()
    for step in range(REPORTS):
        trial.report(float(step), step, f"step {step}")
        trial.reason_to_stop()
        time.sleep(0.01)
    trial.end_as_complete(1.0)


@pytest.mark.parametrize(
    # On the server four processes compete in test_many_processes.
    ("url", "count"),
    [
        ("sqlite", 4),
        pytest.param("sqlite", 8, marks=pytest.mark.thorough),
        pytest.param("postgresql", 8, marks=pytest.mark.thorough),
    ],
    indirect=["url"],
)
def test_processes_that_report_every_10_ms_meet_no_lock(
    url: str, count: int, copies: ForkServerContext
) -> None:
    optuna.create_study(study_name="sweep", storage=open_storage(url))
    ready = copies.Barrier(count)
    writers = [copies.Process(target=report_every_10_ms, args=(url, ready)) for _ in range(count)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=PATIENCE)
    assert [writer.exitcode for writer in writers] == [0] * count
    trials = load_study(url).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * count
    assert {len(trial.intermediate_values) for trial in trials} == {REPORTS}


def test_a_sweep_on_a_journal_file(search: Searches, tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    words = (SPACE, f"hydra.sweeper.storage=journal:///{journal}", "+steps=3")
    assert search(*words, "hydra.sweeper.n_trials=3").code == 0
    # A process that is killed while it writes leaves half a line.
    with journal.open("a") as file:
        file.write('{"op_code": 5, "wor')
    assert search(*words, "hydra.sweeper.n_trials=5").code == 0
    trials = load_study(f"journal:///{journal}").trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 5
    assert {len(trial.intermediate_values) for trial in trials} == {3}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 1024, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    return ballast


# As test_outage has it of what a full disk is told, and test_surroundings of one that is away.
@pytest.mark.thorough
def test_a_search_goes_on_when_its_full_disk_has_room_again(tmp_path: Path, disk: Path) -> None:
    url = f"sqlite:///{disk / 'sweep' / 'optuna.db'}"
    gate = tmp_path / "gate"
    process = WithItsWorkers(
        app_command(
            *(SPACE, "hydra.sweeper.n_trials=6", "+steps=20", f"+gate={gate}", "+gate_at=3"),
            *("hydra.sweep.dir=disk/sweep", "hydra.sweeper.study_name=sweep"),
            "hydra.sweeper.max_failure_rate=1",
        ),
        cwd=tmp_path,
        env=app_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_until((disk / "sweep" / "1").exists, process)
    wait_until(lambda: sum(reports(url)) >= 6, process)
    ballast = fill(disk)
    gate.touch()
    # Whatever happens meanwhile: nothing that is asserted depends on it.
    time.sleep(2.0)
    assert process.poll() is None
    ballast.unlink()
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    study = load_study(url)
    assert finished(study) == 6
    assert all(trial.state.is_finished() for trial in study.trials)
    for trial in study.trials:
        if not was_interrupted(trial) and trial.state is TrialState.COMPLETE:
            assert trial.value == pytest.approx(-((trial.params["+x"] - 1) ** 2))


def reports(url: str) -> list[int]:
    return [len(trial.intermediate_values) for trial in load_study(url).trials]
