"""Where a study is: the URL of its storage, read as a user has typed it, and its name."""

import re
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from doctune.errors import UserError
from doctune.passwords import without_passwords
from doctune.shown_keys import shown

FILES = ("sqlite", "journal")


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
            # Where a password stands in it, nobody knows: before an @, if there is one.
            f"{shown('storage')}={re.sub(r':[^@]*@', ':...@', url)}: this is no database URL; "
            "write for instance sqlite:///multirun/optuna.db"
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
            f"{shown('storage')}={without_passwords(url)}: a file has three slashes; write "
            f"{name}:///{path}"
        )
    if name == "grpc":
        raise UserError(
            f"{shown('storage')}={without_passwords(url)}: Optuna's gRPC proxy is not used here; "
            "give the URL of the database behind it"
        )
    return parsed


def is_file(parsed: URL) -> bool:
    """Tell whether a storage is a file of its own, not a server."""
    return parsed.drivername in ("sqlite", "sqlite+pysqlite", "journal") and bool(parsed.database)


def as_typed(parsed: URL) -> str:
    """Return the key and the value of a storage, as messages begin with; without a password."""
    return f"{shown('storage')}={parsed.render_as_string(hide_password=True)}"
