"""The fleet's PostgreSQL: studies that are written once and copied, and what the server says."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
from sqlalchemy import Engine, create_engine, make_url, text

from doctune.study.storage import open_storage
from tests.benchmarks.fleet.worker import NAME
from tests.benchmarks.prefilled import STEPS, prefill
from tests.doctune.postgresql import new_database

# Seconds between two looks at who waits.
LOOK_SECONDS = 2.0
WHO_WAITS = """
    SELECT count(*), count(*) FILTER (WHERE wait_event_type = 'Lock')
    FROM pg_stat_activity WHERE datname = current_database()
"""
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


class Server:
    """A server with a study of each length.

    Args:
        url: of its first database.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        # Finished trials -> the URL of a database with a study that has them.
        self._long: dict[int, str] = {}

    def study(self, size: int, finished: int) -> str:
        """Return the URL of a new database, whose study has so many trials that run."""
        if finished not in self._long:
            self._long[finished] = new_database(self._url)
            prefill(self._long[finished], NAME, finished)
            _settle(self._long[finished])
        made = new_database(self._url, of=self._long[finished])
        steps = [STEPS * index // size for index in range(size)]
        running = [(_owner(index), done) for index, done in enumerate(steps)]
        prefill(made, NAME, size, seed=1, running=running)
        _settle(made)
        return made

    def seconds(self) -> float:
        """Return the processor time of the server, what has ended of it included."""
        folder = str(make_url(self._url).query["host"])
        total = 0.0
        for process in psutil.process_iter(["name", "cmdline"]):
            words = process.info["cmdline"] or []
            if "postgres" in (process.info["name"] or "") and folder in words:
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
                for child in process.children():
                    of_child = child.cpu_times()
                    total += of_child.user + of_child.system
        return total


def _owner(index: int) -> dict[str, Any]:
    """Return the owner of a worker's trials."""
    place = f"worker {index}"
    return {"host": place, "place": place, "pid": index, "started": 0.0}


def _settle(url: str) -> None:
    """Do what the server does by itself in the hours that a study of that length takes."""
    opened: Any = open_storage(url)
    opened.engine.dispose()
    open_storage.cache_clear()
    engine = _connected(url)
    with engine.connect() as connection:
        connection.execute(text("VACUUM ANALYZE"))
    engine.dispose()


@dataclass
class Met:
    """What the connections to a database met.

    Attributes:
        connections: the most at a time.
        waiting: for a lock, the most at a time.
        waits: for a lock, of all looks.
        looks: at who waits.
        deadlocks: in all.
    """

    connections: int = 0
    waiting: int = 0
    waits: int = 0
    looks: int = 0
    deadlocks: int = 0


@contextmanager
def watched(url: str) -> Iterator[Met]:
    """Look at a database every few seconds; what was met is whole at the end."""
    met, over, engine = Met(), threading.Event(), _connected(url)

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            with engine.connect() as connection:
                there, waiting = connection.execute(text(WHO_WAITS)).one()
            met.connections = max(met.connections, there)
            met.waiting = max(met.waiting, waiting)
            met.waits += waiting
            met.looks += 1

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield met
    finally:
        over.set()
        looking.join()
        with engine.connect() as connection:
            met.deadlocks = connection.execute(text(DEADLOCKS)).scalar_one()
        engine.dispose()


def _connected(url: str) -> Engine:
    known = make_url(url).set(drivername="postgresql+psycopg")
    return create_engine(known, isolation_level="AUTOCOMMIT")
