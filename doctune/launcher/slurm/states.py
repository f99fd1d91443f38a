"""What Slurm says of jobs: of all that are waited for with one call, every few seconds.

`squeue` knows a job until minutes after its end (`MinJobAge`), also on a cluster that keeps no
accounts; `sacct` is asked for what it has forgotten.
"""

import logging
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence

log = logging.getLogger(__name__)

# Seconds between two questions, and those that an answer may take.
ASK_SECONDS = 5.0
PATIENCE = 60.0
# States before a job's first second; a job that was given back waits again.
WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD")
# States after its last one.
OVER = (
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("PREEMPTED", "REVOKED", "TIMEOUT"),
)
# Of those, the job had more to do than time.
OUT_OF_TIME = ("DEADLINE", "TIMEOUT")
# Reasons to wait that no time cures: what was asked for is more than there is, or not allowed.
NEVER = (
    *("PartitionTimeLimit", "PartitionNodeLimit", "BadConstraints", "InvalidAccount"),
    *("InvalidQOS", "AccountNotAllowed", "QOSNotAllowed"),
)
# Columns that squeue is asked for.
ROW = 3
# A job that Slurm has forgotten, and no accounts tell of.
FORGOTTEN = "FORGOTTEN"
# Nothing is known: Slurm does not answer.
UNKNOWN = "UNKNOWN"


class SlurmStates:
    """Tells the state of jobs, as Slurm calls it."""

    def __init__(self) -> None:
        self._jobs: set[str] = set()
        # Job -> its state, and why it waits.
        self._found: dict[str, tuple[str, str]] = {}
        self._asked = -ASK_SECONDS
        self._asking = threading.Lock()
        self._is_told = False

    def add(self, job_id: str) -> None:
        """Ask for a job from now on."""
        self._jobs.add(job_id)

    def remove(self, job_id: str) -> None:
        """Ask for a job no longer."""
        self._jobs.discard(job_id)
        self._found.pop(job_id, None)

    def state(self, job_id: str, *, now: bool = False) -> str:
        """Return a job's state, of some seconds ago unless `now`."""
        with self._asking:
            if now or time.monotonic() - self._asked >= ASK_SECONDS:
                self._ask()
        return self._last(job_id)

    def why_never(self, job_id: str) -> str | None:
        """Return why a job that waits cannot ever start, in Slurm's own word; None where it may."""
        reason = self._found.get(job_id, (UNKNOWN, ""))[1]
        return reason if reason in NEVER else None

    def _last(self, job_id: str) -> str:
        return self._found.get(job_id, (UNKNOWN, ""))[0]

    def _ask(self) -> None:
        # What is over stays so, also of jobs that nobody forgets: a trial may still be told of one.
        jobs = sorted(job for job in self._jobs if self._last(job) not in (*OVER, FORGOTTEN))
        found = _states_of(jobs) if jobs else {}
        self._asked = time.monotonic()
        if found is None:
            if not self._is_told:
                log.warning("squeue does not answer; jobs are waited for by their results")
            self._is_told = True
            return
        self._is_told = False
        for job_id in jobs:
            if job_id not in found:
                found[job_id] = _from_accounts(job_id), ""
        self._found.update(found)


def cancel(job_ids: Sequence[str]) -> None:
    """Have Slurm end jobs, those that wait among them."""
    if job_ids:
        done = _call(["scancel", *job_ids])
        if done is None or done.returncode:
            log.warning("scancel %s: %s", " ".join(job_ids), "" if done is None else done.stderr)


def _states_of(job_ids: Iterable[str]) -> dict[str, tuple[str, str]] | None:
    """Return state and reason of the jobs that Slurm remembers, None where it does not answer."""
    done = _call(
        [
            *("squeue", "--noheader", "--states=all", "--format=%i|%T|%r"),
            f"--jobs={','.join(job_ids)}",
        ]
    )
    if done is None or (done.returncode and "Invalid job id" not in done.stderr):
        return None
    rows = (line.split("|") for line in done.stdout.splitlines() if line.count("|") == ROW - 1)
    return {job_id.strip(): (state, reason.strip()) for job_id, state, reason in rows}


def _from_accounts(job_id: str) -> str:
    done = _call(["sacct", "-X", "--noheader", "--parsable2", "--format=State", f"--jobs={job_id}"])
    words = [] if done is None or done.returncode else done.stdout.split()
    # "CANCELLED by 1000", after each time that it was given back as well.
    return words[0] if words else FORGOTTEN


def _call(command: Sequence[str]) -> "subprocess.CompletedProcess[str] | None":
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("%s: %s", command[0], error)
        return None
