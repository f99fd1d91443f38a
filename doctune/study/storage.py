"""The storage of studies: SQLite for one machine, PostgreSQL or a journal file for several.

SQLite runs in write-ahead mode: readers do not block the writer, and a writer that finds
another one waits for up to `SQLITE_PATIENCE` seconds instead of failing. Write-ahead mode needs
memory that all writers share, so on a network file system take `journal:///path/to/file`, which
appends to one file, or a server.

The journal file of `journal:///path`: Optuna's, which can be read again after any crash.

Pruning in a study with several objectives, by the first of them.

Optuna refuses that: `Trial.report` and `Trial.should_prune` raise, and so does what reads
`study.direction`, as pruners do, and TPE once a trial is pruned. What a job reports is the
first objective, so its direction is the one that they ask for.
"""

import contextlib
import functools
import os
import sqlite3
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import get_lock_file
from optuna.study import StudyDirection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError

from doctune.errors import UserError
from doctune.passwords import add_password, without_passwords
from doctune.shown_keys import shown
from doctune.study.lock import JournalLock, file_lock
from doctune.study.tables import TableStorage
from doctune.words import did_you_mean

FILES = ("sqlite", "journal")
SERVERS = ("postgresql", "postgres", "mysql")
SQLITE_PATIENCE = 120.0
CONNECT_SECONDS = 10
# What SQLite says of a file that it cannot read any more.
DAMAGED = ("not a database", "malformed")
# Two processes that create the tables at the same time: the later one finds them and goes on.
OPENING_ATTEMPTS = 3


def study_location(hydra: Any) -> tuple[str, str]:
    """Return storage URL and study name, the same in the sweeping process and in every job.

    Without `hydra.sweeper.storage` the study is a SQLite file in the sweep's folder, as a job in
    another process could not reach it in memory; without `study_name` it is named after that
    folder. Relative files count from where the command was started.

    Args:
        hydra: the `hydra` node of the config.

    Raises:
        UserError: the storage is no database URL.
    """
    folder = Path(str(hydra.sweep.dir))
    url = hydra.sweeper.storage or f"sqlite:///{folder / 'optuna.db'}"
    url = counted_from(Path(str(hydra.runtime.cwd)), url)
    return url, hydra.sweeper.study_name or folder.as_posix()


def counted_from(folder: Path, url: str) -> str:
    """Return the URL of a storage with its whole path, if it is a file; `folder` is the start.

    Raises:
        UserError: it is no URL.
    """
    parsed = parse_url(url)
    if not is_file(parsed):
        return url
    path = folder / str(parsed.database)
    return parsed.set(database=str(path)).render_as_string(hide_password=False)


def parse_url(url: str) -> URL:
    """Read a storage URL.

    Raises:
        UserError: it is none.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UserError(
            f"{shown('storage')}={url}: this is no database URL; write for instance "
            "sqlite:///multirun/optuna.db"
        ) from None
    except ValueError as error:  # of the port
        wrong = str(error).rpartition(" ")[2]
        raise UserError(
            f"{shown('storage')}={without_passwords(url)}: {wrong} is no number, where a port "
            "stands"
        ) from None
    name = parsed.drivername
    if name in FILES and parsed.host:
        path = f"{parsed.host}/{parsed.database or ''}".rstrip("/")
        raise UserError(
            f"{shown('storage')}={url}: a file has three slashes; write {name}:///{path}"
        )
    if name == "grpc":
        raise UserError(
            f"{shown('storage')}={url}: Optuna's gRPC proxy is not used here; give the URL of the "
            "database behind it"
        )
    return parsed


def existing_study(url: str, name: str) -> optuna.Study | None:
    """Return a study that there is already, None without one; no file is made for it.

    Raises:
        UserError: the storage cannot be, be opened or be reached.
    """
    parsed = parse_url(url)
    if is_file(parsed):
        path = Path(str(parsed.database))
        if not path.exists():
            try:
                try_folder(path.parent)
            except OSError as error:
                raise UserError(
                    f"{_named(parsed)}: it cannot be made ({error.strerror})"
                ) from error
            return None
    elif parsed.get_backend_name() not in SERVERS:
        try:
            parsed.get_dialect()
        except Exception as error:
            # Whatever SQLAlchemy raises where there is no such database.
            raise UserError(
                f"{_named(parsed)}: this is no storage of studies; "
                "write sqlite:///FILE, postgresql://HOST/DATABASE or journal:///FILE"
            ) from error
    storage = open_storage(url)
    try:
        return optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        return None


def is_file(parsed: URL) -> bool:
    """Tell whether a storage is a file of its own, not a server."""
    return parsed.drivername in ("sqlite", "sqlite+pysqlite", "journal") and bool(parsed.database)


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
        reason = str(error).strip().splitlines()[0]
        told = f"{_named(parsed)}: it cannot be opened ({reason})"
        if isinstance(error, DatabaseError) and any(word in reason for word in DAMAGED):
            told += "; put a copy of the file in its place, or move it away to start anew"
        raise UserError(told) from error


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


def _named(parsed: URL) -> str:
    return f"{shown('storage')}={parsed.render_as_string(hide_password=True)}"


def _open_file(parsed: URL) -> BaseStorage:
    path = Path(str(parsed.database))
    path.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(path):
        if parsed.drivername == "journal":
            return JournalStorage(MendingJournal(str(path)))
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


def load_study(
    url: str, name: str, storage: BaseStorage | None = None, **kwargs: Any
) -> optuna.Study:
    """Open an existing study.

    Args:
        url: of its storage.
        name: of the study.
        storage: the same, opened in a way of one's own.
        kwargs: of `optuna.load_study`.

    Raises:
        UserError: the storage has no study of that name; its studies are listed.
    """
    storage = storage or open_storage(url)
    try:
        return prunable(optuna.load_study(study_name=name, storage=storage, **kwargs))
    except KeyError:
        names = sorted(optuna.get_all_study_names(storage))
        hint = did_you_mean(name, names) if names else "; it has none yet"
        raise UserError(f"study '{name}' is not in the storage{hint}") from None


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


class StudyLedByFirst(optuna.Study):
    """A study whose `direction` is the first objective's; `directions` keeps them all."""

    @property
    def direction(self) -> StudyDirection:
        """Return the direction of what is reported."""
        return self.directions[0]


def prunable(study: optuna.Study) -> optuna.Study:
    """Return the study as pruners and samplers can take it, whatever its objectives."""
    if len(study.directions) == 1:
        return study
    return StudyLedByFirst(study.study_name, study._storage, study.sampler, study.pruner)
