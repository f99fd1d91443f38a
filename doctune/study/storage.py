"""The storage of studies, opened: SQLite for one machine, PostgreSQL or a journal file for several.

SQLite runs in write-ahead mode: readers do not block the writer, and a writer that finds
another one waits for up to `SQLITE_PATIENCE` seconds instead of failing. Write-ahead mode needs
memory that all writers share, so on a network file system take `journal:///path/to/file`, which
appends to one file that can be read again after any crash, or a server.
"""

import contextlib
import functools
import importlib
import logging
import os
import sqlite3
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import get_lock_file
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError

from doctune.errors import UserError, first_line
from doctune.passwords import add_password
from doctune.study.location import as_typed, is_file, parse_url
from doctune.study.lock import JournalLock, file_lock
from doctune.study.tables import TableStorage

SQLITE_PATIENCE = 120.0
CONNECT_SECONDS = 10
# What SQLite says of a file that it cannot read any more.
DAMAGED = ("not a database", "malformed")
# Two processes that create the tables at the same time: the later one finds them and goes on.
OPENING_ATTEMPTS = 3


def import_ahead() -> None:
    """Import what Optuna imports when it opens a database, half a second, while there is time."""
    # Where an app's log shows what is said at the level of INFO, it lists its own parts on import.
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
    importlib.import_module("alembic.context")


@functools.lru_cache(maxsize=4)
def open_storage(url: str) -> BaseStorage:
    """Open the storage at `url`, once a process.

    Raises:
        UserError: the database cannot be opened or reached.
    """
    parsed = parse_url(url)
    try:
        if is_file(parsed):
            return _open_file(parsed)
        return _open_server(parsed)
    except Exception as error:
        # Drivers raise errors of their own; whichever it is, the user's URL is the cause.
        reason = first_line(error)
        told = f"{as_typed(parsed)}: it cannot be opened ({reason})"
        if isinstance(error, DatabaseError) and any(word in reason for word in DAMAGED):
            told += "; put a copy of the file in its place, or move it away to start anew"
        raise UserError(told) from error


def existing_storage(url: str) -> BaseStorage | None:
    """Open the storage at `url`; None where it is a file that is not there, and none is made.

    Raises:
        UserError: the database cannot be opened or reached.
    """
    parsed = parse_url(url)
    if is_file(parsed) and not Path(str(parsed.database)).exists():
        return None
    return open_storage(url)


def try_folder(folder: Path) -> None:
    """Find out whether files can be made in a folder; it is there only if it was before.

    Raises:
        OSError: they cannot.
    """
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    finally:
        for one in made:
            # Another process may have begun to use it.
            with contextlib.suppress(OSError):
                one.rmdir()


def _open_file(parsed: URL) -> BaseStorage:
    path = Path(str(parsed.database))
    path.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(path):
        if parsed.drivername == "journal":
            return JournalStorage(MendingJournal(str(path)))
        import_ahead()
        url = parsed.render_as_string()
        connecting = {"timeout": SQLITE_PATIENCE, "factory": WriteAhead}
        return TableStorage(url, engine_kwargs={"connect_args": connecting})


def _open_server(parsed: URL) -> BaseStorage:
    if parsed.drivername in ("postgresql", "postgres"):
        # The driver that the extra `postgres` installs.
        parsed = parsed.set(drivername="postgresql+psycopg")
    if "postgresql" in parsed.drivername and "connect_timeout" not in parsed.query:
        # The operating system's own patience is minutes.
        parsed = parsed.update_query_dict({"connect_timeout": str(CONNECT_SECONDS)})
    import_ahead()
    url = add_password(parsed, os.environ).render_as_string(hide_password=False)
    for attempt in range(OPENING_ATTEMPTS):
        try:
            return TableStorage(url, engine_kwargs={"pool_pre_ping": True})
        except Exception as error:
            if attempt == OPENING_ATTEMPTS - 1 or "already exists" not in str(error):
                raise
    raise AssertionError


class WriteAhead(sqlite3.Connection):
    """A connection with what SQLite forgets with every one: readers and writer do not wait.

    From the very first one on: a table that is made with a rollback journal waits for the disk
    several times, and a new study has thirteen.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.execute("PRAGMA journal_mode=WAL")
        self.execute("PRAGMA synchronous=NORMAL")


class MendingJournal(JournalFileBackend):
    """Optuna's journal file, with a lock that dies with its process, and with whole lines only.

    A process that is killed, or meets a full disk, while it writes leaves half a line. Optuna
    would append to it, and nobody could read the file any more; here the next writer cuts it off.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path, JournalLock(path))

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yield the lines from a number on.

        Raises:
            StorageInternalError: the file is not there, as a mounted folder may not be for a while.
        """
        with _told_as_optuna_does():
            yield from super().read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append the lines of an operation.

        Raises:
            StorageInternalError: nothing can be written.
        """
        with _told_as_optuna_does(), get_lock_file(self._lock):
            _cut_half_a_line(self._file_path)
            super().append_logs(logs)


@contextlib.contextmanager
def _told_as_optuna_does() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageInternalError("the journal does not answer") from error


def _cut_half_a_line(path: str) -> None:
    with open(path, "rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return
        file.seek(size - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
