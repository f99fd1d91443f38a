"""Which process runs a trial, and whether it still lives.

On the same machine the operating system knows, so a trial of a live process is never taken away,
however long it runs. A process elsewhere shows that it lives by changing the `heartbeat` of its
trials; it is taken for dead when an observer has seen no change for a while by its own clock, so
that no two clocks are ever compared.
"""

import contextlib
import functools
import logging
import os
import socket
import threading
import time
from collections.abc import Iterable
from typing import Any

import psutil
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from doctune.study.outage import AWAY, Outage, reason_of

log = logging.getLogger(__name__)

# So many heartbeats have to be missing.
MISSING_HEARTBEATS = 6
# Seconds without one after which a reader who looks but once takes a process elsewhere for dead;
# no trial is taken away by that, so clocks that differ by less do no harm.
SILENT = 300.0
# Seconds; the time of boot is known in whole ones.
START_PRECISION = 2.0

Owner = dict[str, Any]


def this_process() -> Owner:
    """Describe this process, as it is written into its trials."""
    me = psutil.Process()
    return {
        "host": socket.gethostname(),
        "place": _place(),
        "pid": me.pid,
        "started": _started(me),
    }


@functools.cache
def _place() -> str:
    """Name the set of processes in which this one's id is unique: a running machine, a container.

    Containers of one machine may share its name, and machines theirs.
    """
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            parts.append(file.read().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


class Watch:
    """Tells which running trials have lost their process.

    Args:
        heartbeat: seconds between the signs of life of every process of the study.
    """

    def __init__(self, heartbeat: float) -> None:
        self._grace = MISSING_HEARTBEATS * heartbeat
        # Trial number -> its last heartbeat, and when it was seen first.
        self._seen: dict[int, tuple[Any, float]] = {}

    def is_gone(self, trial: FrozenTrial) -> bool:
        """Tell whether no process runs `trial`; of trials that are not ours, nobody knows."""
        attrs = trial.user_attrs
        if "owner" not in attrs:
            return False
        # The job may outlive the process that started it, as on Slurm.
        owners = [attrs[name] for name in ("owner", "runner") if name in attrs]
        return all(self._owner_is_gone(owner, trial) for owner in owners)

    def _owner_is_gone(self, owner: Owner, trial: FrozenTrial) -> bool:
        if owner.get("place") == _place():
            return not _lives(owner)
        beat = trial.user_attrs.get("heartbeat")
        last, since = self._seen.get(trial.number, (None, 0.0))
        if trial.number not in self._seen or beat != last:
            since = time.monotonic()
            self._seen[trial.number] = (beat, since)
        return time.monotonic() - since >= self._grace


def seems_gone(trial: FrozenTrial) -> bool:
    """Tell at a single look whether no process runs `trial` any more, as far as one can tell.

    Of trials that are not ours nobody knows: they are taken for running.
    """
    attrs = trial.user_attrs
    owners = [attrs[name] for name in ("owner", "runner") if name in attrs]
    if not owners:
        return False
    begun = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    silent = time.time() - max(begun, attrs.get("heartbeat") or 0.0) > SILENT
    return all(not _lives(owner) if owner.get("place") == _place() else silent for owner in owners)


def runs_here(owner: Owner) -> bool:
    """Tell whether a process is one of this machine, and lives."""
    return owner.get("place") == _place() and _lives(owner)


def _lives(owner: Owner) -> bool:
    try:
        process = psutil.Process(owner["pid"])
        is_same = abs(_started(process) - owner["started"]) <= START_PRECISION
        return is_same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _started(process: psutil.Process) -> float:
    """Return when a process began, by a clock that nobody sets: seconds since boot on Linux."""
    # There both parts move when the machine's clock is set, and their difference does not.
    return process.create_time() - (psutil.boot_time() if psutil.LINUX else 0.0)


class Heartbeat:
    """A thread that shows for some trials that their process lives.

    Args:
        storage: of the study.
        seconds: between two signs of life.
        trial_ids: the trials, at first.
        outage: told whether they can be written.
    """

    def __init__(
        self,
        storage: BaseStorage,
        seconds: float,
        trial_ids: Iterable[int] = (),
        outage: Outage | None = None,
    ) -> None:
        self._outage = outage
        self._storage = storage
        self._seconds = seconds
        self._trial_ids = set(trial_ids)
        # A thread of a job ends with its trial.
        self._ends_with_trials = bool(self._trial_ids)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        # A storage that does not answer is no reason to wait: the thread ends with the process.
        self._thread.join(timeout=1)

    def start(self) -> None:
        """Begin, and go on until the process ends or none of the trials runs any more."""
        self._thread.start()

    def add(self, trial_id: int) -> None:
        """Show life for one more trial."""
        self._trial_ids.add(trial_id)

    def remove(self, trial_id: int) -> None:
        """Show life for a trial no longer."""
        self._trial_ids.discard(trial_id)

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            for trial_id in list(self._trial_ids):
                self._beat(trial_id)
            if self._ends_with_trials and not self._trial_ids:
                return

    def _beat(self, trial_id: int) -> None:
        try:
            self._storage.set_trial_user_attr(trial_id, "heartbeat", round(time.time(), 1))
        except (UpdateFinishedTrialError, KeyError):
            self.remove(trial_id)
        except AWAY as error:
            # The next beat may pass; there is time for several.
            log.warning("no heartbeat: %s", reason_of(error))
            if self._outage is not None:
                self._outage.cannot_write(error)
        else:
            if self._outage is not None:
                self._outage.can_write()
