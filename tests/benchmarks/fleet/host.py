"""A process of the fleet, with several of its workers."""

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import get_storage
from optuna.trial import TrialState
from sqlalchemy import Engine, create_engine, make_url

from doctune.study.pruners import NOTES
from doctune.study.storage import open_storage
from doctune.study.tables import TableStorage
from doctune.sweeper import loop as sweeper_loop
from tests.benchmarks.fleet.worker import NAME, Worker, as_worker

# Connections of a process whose workers share them, as behind a pooler.
CONNECTIONS = 24
# Of a worker that has its own: the loop's, the job's and the heart's.
EACH = 3


@dataclass(frozen=True)
class Share:
    """What one of the processes does.

    Attributes:
        url: of the storage.
        folder: for files with which it talks to whoever has started it.
        place: of the process among all.
        workers: the numbers of its workers, as of the trials that run.
        seconds: of a trial.
        apart: whether each worker has connections of its own.
    """

    url: str
    folder: Path
    place: int
    workers: tuple[int, ...]
    seconds: float
    apart: bool

    @property
    def ready(self) -> Path:
        """Return the file that says that all its workers have reported and asked."""
        return self.folder / f"ready {self.place}"

    @property
    def seen(self) -> Path:
        """Return the file of what they saw."""
        return self.folder / f"seen {self.place}.json"


def host(share: Share) -> None:
    """Run workers until a file says that it is over; write what they saw."""
    # Five times a second is too often for many in a process.
    sweeper_loop.COLLECT_SECONDS = 1.0
    # Of a fork.
    open_storage.cache_clear()
    opened, locks = (TableStorage(**_server(share.url)) for _ in range(2))
    whole = get_storage(opened)
    curves = get_storage(opened.only_curves(NOTES, of_unfinished=False))
    study = optuna.load_study(study_name=NAME, storage=whole)
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    curves.get_all_trials(study._study_id, deepcopy=False)
    workers = []
    for number in share.workers:
        engine = _engine(share.url) if share.apart else None
        own = as_worker(whole, True, engine), as_worker(curves, False, engine)
        lock = own[0]._backend if share.apart else locks
        workers.append(Worker(*own, lock, share.url, running[number], share.seconds))
    starting = ThreadPoolExecutor(len(workers))
    threads = [threading.Thread(target=one.run, args=(starting,), daemon=True) for one in workers]
    for thread in threads:
        thread.start()
    # The first look at a long study takes seconds, and is no part of what a trial costs.
    while not all(one.jobs.reports and one.loop.asked for one in workers):
        time.sleep(0.1)
    share.ready.touch()
    while not (share.folder / "over").exists():
        time.sleep(0.1)
    seen = {
        "asked": [each for one in workers for each in one.loop.asked],
        "lock": [each for one in workers for each in one.lock.times],
        "reports": [each for one in workers for each in one.jobs.reports],
        "lost": sum(not thread.is_alive() for thread in threads),
    }
    share.seen.write_text(json.dumps(seen))
    os._exit(0)


def _server(url: str) -> dict[str, Any]:
    """Return how a process with connections enough for all its workers opens the storage."""
    known = make_url(url).set(drivername="postgresql+psycopg")
    kwargs = {"pool_size": CONNECTIONS, "max_overflow": 0, "pool_timeout": 600}
    # Those that are warm first, as a pooler gives them.
    kwargs["pool_use_lifo"] = True
    return {"url": known.render_as_string(hide_password=False), "engine_kwargs": kwargs}


def _engine(url: str) -> Engine:
    """Return what connects one worker, as `open_storage` does."""
    known = make_url(url).set(drivername="postgresql+psycopg")
    return create_engine(known, pool_pre_ping=True)
