"""The storage of studies: any that Optuna knows by URL, SQLite set so that writers never collide.

SQLite runs in write-ahead mode: readers do not block the writer, and a writer that finds
another one waits for up to `SQLITE_PATIENCE` seconds instead of failing.
"""

import functools
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from src.sweep.errors import SweepError

SQLITE_PATIENCE = 120.0


def study_location(hydra: Any) -> tuple[str, str]:
    """Return storage URL and study name, the same in the sweeping process and in every job.

    Without `hydra.sweeper.storage` the study is a SQLite file in the sweep's folder, as a job in
    another process could not reach it in memory; without `study_name` it is named after that
    folder. Relative SQLite files count from where the command was started.

    Args:
        hydra: the `hydra` node of the config.

    Raises:
        SweepError: the storage is no database URL.
    """
    folder = Path(str(hydra.sweep.dir))
    url = hydra.sweeper.storage or f"sqlite:///{folder / 'optuna.db'}"
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SweepError(
            f"storage: '{url}' is no database URL; write for instance sqlite:///multirun/optuna.db"
        ) from None
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        path = Path(str(hydra.runtime.cwd)) / parsed.database
        url = parsed.set(database=str(path)).render_as_string(hide_password=False)
    return url, hydra.sweeper.study_name or folder.as_posix()


@functools.lru_cache(maxsize=4)
def open_storage(url: str) -> BaseStorage:
    """Open the storage at `url`, once a process.

    Raises:
        SweepError: the database cannot be opened or reached.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite":
            return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
        storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": SQLITE_PATIENCE}})
    except Exception as error:
        # Drivers raise errors of their own; whichever it is, the user's URL is the cause.
        reason = str(error).strip().splitlines()[0]
        shown = make_url(url).render_as_string(hide_password=True)
        raise SweepError(f"storage: {shown} cannot be opened ({reason})") from error
    _use_write_ahead_log(storage)
    return storage


def _use_write_ahead_log(storage: RDBStorage) -> None:
    """Set what SQLite forgets with every connection; the connections made so far are dropped."""

    def configure(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    event.listen(storage.engine, "connect", configure)
    storage.engine.dispose()


def load_study(url: str, name: str, **kwargs: Any) -> optuna.Study:
    """Open an existing study.

    Raises:
        SweepError: the storage has no study of that name; its studies are listed.
    """
    storage = open_storage(url)
    try:
        return optuna.load_study(study_name=name, storage=storage, **kwargs)
    except KeyError:
        names = ", ".join(sorted(optuna.get_all_study_names(storage))) or "none yet"
        raise SweepError(f"study '{name}' is not in the storage; there are: {names}") from None
