"""Searches on a real Slurm of one node, without accounts, and on submitit's own processes."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import optuna
import psutil
import pytest
from optuna.trial import TrialState
from sqlalchemy import make_url

from doctune.study.study import was_interrupted
from tests.doctune.conftest import app_environment, load_study, sqlite
from tests.doctune.killing import PATIENCE
from tests.doctune.slurm.cluster import cluster, why_not

SECRET = "s3cr3t"


@pytest.fixture(scope="session")
def slurm() -> Iterator[str]:
    """Start Slurm; return the value of SLURM_CONF."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with cluster() as conf:
        yield conf


@dataclass
class Search:
    """A search that runs."""

    process: "subprocess.Popen[str]"
    folder: Path
    environment: dict[str, str]
    url: str

    @property
    def trials(self) -> list[optuna.trial.FrozenTrial]:
        if not (self.folder / "sweep" / "search.log").exists():
            return []
        with contextlib.suppress(KeyError):
            return load_study(self.url).trials
        return []

    def until(self, happens: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE / 2
        while not happens():
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < end
            time.sleep(0.2)

    def reported(self, count: int) -> Callable[[], bool]:
        """Return whether so many trials have reported."""
        return lambda: sum(bool(trial.intermediate_values) for trial in self.trials) == count

    def end(self, code: int = 0) -> str:
        output, _ = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == code, output
        assert "Traceback" not in output, output
        return output

    def of_slurm(self, *words: str) -> list[str]:
        done = subprocess.run(
            words, env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    @property
    def jobs(self) -> list[str]:
        """Return the jobs that wait or run."""
        return self.of_slurm("squeue", "--noheader", "--format=%i")


Start = Callable[..., Search]


@pytest.fixture
def start(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Return a function that starts a search on a launcher."""
    started: list[Search] = []

    def call(launcher: str, *words: str, n_jobs: int = 2, url: str | None = None) -> Search:
        environment = app_environment()
        if launcher == "submitit_slurm":
            environment["SLURM_CONF"] = request.getfixturevalue("slurm")
        command = [
            *(sys.executable, "-m", "tests.doctune.app", "-m", "hydra/sweeper=optuna_async"),
            *(f"hydra/launcher={launcher}", f"hydra.sweeper.n_jobs={n_jobs}"),
            *("hydra.sweeper.direction=maximize", "hydra.sweep.dir=sweep"),
            *("+x=interval(-5.0,5.0)", *words),
        ]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Whoever runs the tests in the background has switched it off for all that they start.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(Search(process, tmp_path, environment, url or sqlite(tmp_path)))
        return started[-1]

    yield call
    for search in started:
        search.process.kill()
        if "SLURM_CONF" in search.environment and search.jobs:
            search.of_slurm("scancel", "--signal=KILL", "--full", *search.jobs)
            search.of_slurm("scancel", *search.jobs)


# Two steps; the second waits for the gate.
GATED = ("+steps=2", "+gate=gate", "+gate_at=1")


@pytest.mark.parametrize("launcher", ["submitit_slurm", "submitit_local", "joblib", "basic"])
def test_ctrl_c_ends_what_runs_and_what_waits(start: Start, launcher: str) -> None:
    search = start(launcher, *GATED, "hydra.sweeper.n_trials=8", n_jobs=4)
    running = {"submitit_slurm": 2, "basic": 1}.get(launcher, 4)
    search.until(search.reported(running))
    children = psutil.Process(search.process.pid).children(recursive=True)
    search.process.send_signal(signal.SIGINT)
    began = time.monotonic()
    output = search.end(code=128 + signal.SIGINT)
    # Against waiting for the gate, which never opens.
    assert time.monotonic() - began < PATIENCE
    assert "run again next time" in output
    assert not psutil.wait_procs(children, timeout=PATIENCE)[1]
    if launcher == "submitit_slurm":
        assert search.jobs == [] or set(
            search.of_slurm("squeue", "--noheader", "--format=%T")
        ) <= {"COMPLETING"}
    states = [trial.state for trial in search.trials if not was_interrupted(trial)]
    assert states == [TrialState.WAITING] * min(4, len(states))
