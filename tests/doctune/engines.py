"""Searches of the small app on each launcher that the docs name, in processes of their own."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import optuna
import psutil
import pytest
from optuna.trial import FrozenTrial

from doctune.study.storage import open_storage
from tests.doctune.conftest import app_environment, sqlite
from tests.preloaded import Command
from tests.waiting import PATIENCE, wait_until

# Launcher -> what it is given, for two trials at a time on this machine.
ENGINES: dict[str, tuple[str, ...]] = {
    "workers": ("hydra.launcher.n_workers=2",),
    "joblib": ("hydra.launcher.n_jobs=2",),
    "submitit_local": (),
    "submitit_slurm": (),
    "ray": (
        "+hydra.launcher.ray.init.num_cpus=2",
        "+hydra.launcher.ray.init.include_dashboard=false",
    ),
}


@dataclass
class Search:
    """A search that runs in a process of its own."""

    process: "subprocess.Popen[str]"
    # A file, as jobs that outlive it would keep a pipe open.
    said: Path

    def until(self, happens: Callable[[], bool]) -> None:
        until(happens, self.process)

    def end(self, code: int = 0) -> str:
        """Wait until it has ended, which its jobs need not have, and return what it said."""
        found = self.process.wait(timeout=PATIENCE)
        output = self.said.read_text()
        assert found == code, output
        assert "Traceback" not in output, output
        return output


Start = Callable[..., Search]


@pytest.fixture
def start(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Return a function that starts a search on a launcher, in a process of its own."""
    started: list[Search] = []

    def call(launcher: str, *words: str) -> Search:
        environment = app_environment()
        if launcher == "submitit_slurm":
            environment["SLURM_CONF"] = request.getfixturevalue("slurm")
        if launcher == "ray":
            pytest.importorskip("ray")
            environment |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
            # Of 15 by default, which waits for every other test of a busy machine.
            environment["RAY_worker_niceness"] = "0"
        command = [
            *(sys.executable, "-m", "tests.doctune.app", "-m", "hydra/sweeper=optuna_async"),
            *(f"hydra/launcher={launcher}", *ENGINES[launcher], "hydra.sweeper.direction=maximize"),
            *("hydra.sweep.dir=sweep", *words),
        ]
        said = tmp_path / f"said-{len(started)}"
        with said.open("w") as out:
            process = Command(
                command, cwd=tmp_path, env=environment, stdout=out, stderr=subprocess.STDOUT
            )
        started.append(Search(process, said))
        return started[-1]

    yield call
    (tmp_path / "gate").touch()
    for each in started:
        each.process.kill()


def trials_in(folder: Path) -> list[FrozenTrial]:
    """Read the trials of a search that runs; none before it has a study."""
    if not (folder / "sweep" / "search.log").exists():
        return []
    with contextlib.suppress(KeyError):
        storage = open_storage(sqlite(folder))
        return optuna.load_study(study_name="sweep", storage=storage).trials
    return []


def reported(folder: Path) -> int:
    """Return how many trials have reported."""
    return sum(bool(trial.intermediate_values) for trial in trials_in(folder))


def until(happens: Callable[[], bool], process: "subprocess.Popen[str] | None" = None) -> None:
    """Wait without asking Slurm and the storage all the time."""

    def asked() -> bool:
        time.sleep(0.2)
        return happens()

    wait_until(asked, process, PATIENCE / 2)


def family_of(search: Search) -> list[psutil.Process]:
    """Return the processes that a search has started, and those that they have."""
    return psutil.Process(search.process.pid).children(recursive=True)


def job_processes(folder: Path) -> list[psutil.Process]:
    """Return the processes in which trials run, wherever these were started."""
    runners = [one.user_attrs["runner"]["pid"] for one in trials_in(folder)]
    return [psutil.Process(pid) for pid in runners]
