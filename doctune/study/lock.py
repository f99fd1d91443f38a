"""One process at a time decides about a study: which trial starts next, whose trial is lost.

Optuna's storages do not promise it: on SQLite two processes can take the same queued trial, and
nothing keeps two of them from both starting the last one. The locks here are kept by the
operating system or by the database server, so they end with the process that holds them.
"""

import contextlib
import errno
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages.journal._file import BaseJournalFileLock
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from doctune.errors import UserError

POLL_SECONDS = 0.02

# Statements that take the lock and tell so, and that give it back. PostgreSQL's waits on the
# server, in the order of asking, which hundreds of processes that ask again and again would keep
# busy. It is tested; the others may say no, follow the manuals, and are offered nowhere.
SERVER_LOCKS = {
    "postgresql": (
        "SELECT pg_advisory_lock(:number) IS NOT NULL",
        "SELECT pg_advisory_unlock(:number)",
    ),
    "mysql": ("SELECT GET_LOCK(:name, 0)", "SELECT RELEASE_LOCK(:name)"),
    "mariadb": ("SELECT GET_LOCK(:name, 0)", "SELECT RELEASE_LOCK(:name)"),
}


def study_lock(url: str, storage: BaseStorage, name: str) -> AbstractContextManager[None]:
    """Return the lock of study `name`, to be used in a `with` statement once.

    Raises:
        UserError: the storage is a database that has no such lock.
    """
    parsed = make_url(url)
    if not isinstance(storage, RDBStorage) or parsed.get_backend_name() == "sqlite":
        return file_lock(Path(str(parsed.database)))
    if parsed.get_backend_name() not in SERVER_LOCKS:
        raise UserError(
            f"storage: {parsed.get_backend_name()} is not supported; take sqlite, postgresql or "
            "journal"
        )
    return _server_lock(storage, name)


def creation_lock(url: str, storage: BaseStorage, name: str) -> AbstractContextManager[None]:
    """Return what is to be held while a trial is created whose number tells what others did.

    PostgreSQL puts those who create trials in order itself, by the row of the study that Optuna
    locks. On SQLite Optuna finds out that two do so at once, and each waits for up to 2 s.
    """
    if isinstance(storage, RDBStorage) and storage.engine.dialect.name == "postgresql":
        return contextlib.nullcontext()
    return study_lock(url, storage, name)


@contextlib.contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock beside the file at `path`; the kernel ends it with the process.

    Raises:
        UserError: the file system has no locks.
        StorageInternalError: the folder is not there, or nothing can be written in it.
    """
    lock = _lock_beside(path, "study")
    try:
        _take(lock)
    except (OSError, NotImplementedError) as error:
        if getattr(error, "errno", None) not in (None, errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise StorageInternalError(f"no lock beside {path}: {error}") from error
        raise UserError(
            f"storage: the file system of {path} has no locks ({error}); take another folder, or "
            "PostgreSQL"
        ) from error
    try:
        yield
    finally:
        lock.release()


class JournalLock(BaseJournalFileLock):
    """The lock of a journal file's writers.

    Optuna's own locks are files, which stay for 30 seconds when their process is killed.
    """

    def __init__(self, path: str) -> None:
        self._lock = _lock_beside(Path(path), "write")

    def acquire(self) -> bool:
        """Wait for the lock and take it."""
        _take(self._lock)
        return True

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()


def _lock_beside(path: Path, what: str) -> BaseFileLock:
    lock_file = path.with_name(f"{path.name}.{what}-lock")
    return FileLock(lock_file, poll_interval=POLL_SECONDS)


def _take(lock: BaseFileLock) -> None:
    """Wait for a lock and take it.

    Raises:
        OSError: its file cannot be made, for which `acquire` would wait as for its release.
    """
    os.close(os.open(lock.lock_file, os.O_RDWR | os.O_CREAT, 0o644))
    lock.acquire()


@contextlib.contextmanager
def _server_lock(storage: RDBStorage, name: str) -> Iterator[None]:
    """Hold a lock of the database server, which ends with the connection.

    Raises:
        StorageInternalError: the server does not answer, as Optuna's storages tell it.
    """
    digest = hashlib.sha256(f"study {name}".encode()).digest()
    key: dict[str, Any] = {
        "number": int.from_bytes(digest[:8], "big", signed=True),
        "name": digest.hex()[:60],
    }
    take, give_back = SERVER_LOCKS[storage.engine.dialect.name]
    with _told_as_optuna_does(), storage.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        while not _ask(connection, take, key):
            time.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            try:
                _ask(connection, give_back, key)
            except Exception:
                # The connection would keep the lock; closing it ends both.
                connection.invalidate()
                raise


@contextlib.contextmanager
def _told_as_optuna_does() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise StorageInternalError("the server gives no lock") from error


def _ask(connection: Connection, statement: str, key: dict[str, Any]) -> bool:
    used = {name: value for name, value in key.items() if f":{name}" in statement}
    return bool(connection.execute(text(statement), used).scalar())
