"""The pool of workers, whatever happens to its processes."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import psutil
import pytest
from hydra.core.utils import JobReturn
from pebble import ProcessExpired

from doctune.launcher.workers.pool import WorkerPool
from tests.doctune.launcher.jobs import NoHydra, work
from tests.waiting import wait_until

Make = Callable[..., WorkerPool]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Return a function that makes a pool of one worker, which is closed in the end."""
    monkeypatch.setattr("doctune.launcher.workers.place.work", work)
    pools: list[WorkerPool] = []

    def pool(*preload: str) -> WorkerPool:
        context: Any = NoHydra()
        pools.append(WorkerPool(1, [], preload, context, str(tmp_path)))
        return pools[-1]

    yield pool
    for each in pools:
        each.close()


def run(pool: WorkerPool, *words: Path) -> int:
    """Run a job and return the id of the process that ran it."""
    pid: int = pool.run([str(word) for word in words], 0)._return_value
    return pid


def start(pool: WorkerPool, gate: Path) -> tuple["Future[JobReturn]", int]:
    """Start a job that waits for `gate`; return its future and the process that runs it."""
    first = run(pool)
    job = ThreadPoolExecutor(1).submit(pool.run, [str(gate)], 1)
    wait_until(lambda: 1 in pool._running and pool._places[0]._job is not None)
    wait_until(lambda: job.running() and pool._places[0]._job.running())  # type: ignore[union-attr]
    return job, first


def test_a_worker_runs_one_job_after_the_other(make: Make) -> None:
    pool = make()
    assert run(pool) == run(pool)


def test_a_worker_that_is_killed_fails_its_job_and_the_next_one_runs(
    make: Make, tmp_path: Path
) -> None:
    pool = make()
    job, pid = start(pool, tmp_path / "gate")
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ProcessExpired):
        job.result()
    assert run(pool) != pid


def test_a_worker_that_is_killed_without_a_job_costs_none(make: Make) -> None:
    pool = make()
    pid = run(pool)
    os.kill(pid, signal.SIGKILL)
    # The pool notices in its own time, and is of no use from then on.
    wait_until(lambda: not pool._places[0]._pool.active)
    assert run(pool) != pid


def test_a_worker_that_is_killed_at_its_start_fails_one_job(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / "left"
    monkeypatch.setenv("KILLED_AT_FIRST", str(left))
    # The server that workers are copied from, and a worker, which starts anew without one.
    left.write_text("2" if sys.platform == "linux" else "1")
    pool = make("tests.doctune.launcher.killed_at_first")
    with pytest.raises(BrokenProcessPool):
        run(pool)
    run(pool)


def test_a_job_that_is_cancelled_leaves_its_stack_in_the_log(make: Make, tmp_path: Path) -> None:
    pool = make()
    job, pid = start(pool, tmp_path / "gate")
    pool.cancel(1)
    with pytest.raises(CancelledError):
        job.result()
    assert "in work" in (tmp_path / "worker-0.log").read_text()
    assert run(pool) != pid


def test_a_job_that_is_cancelled_before_it_has_a_process_does_not_run(
    make: Make, tmp_path: Path
) -> None:
    pool = make()
    pool.cancel(1)
    with pytest.raises(CancelledError):
        pool.run([str(tmp_path / "gate")], 1)
    run(pool)


def test_closing_ends_the_jobs_and_nothing_starts_afterwards(make: Make, tmp_path: Path) -> None:
    pool = make()
    job, pid = start(pool, tmp_path / "gate")
    pool.close()
    with pytest.raises(CancelledError):
        job.result()
    assert not psutil.pid_exists(pid)
    with pytest.raises(CancelledError):
        run(pool)
