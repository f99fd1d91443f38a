"""Workers that are copies of a process which has imported what they need."""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hydra.core.utils import JobReturn
from pebble import ProcessExpired

from doctune.launcher.workers.fork_server import ForkServer, server_pid
from doctune.launcher.workers.pool import WorkerPool
from doctune.launcher.workers.surroundings import same_for_all
from tests.doctune.launcher.jobs import NoHydra, job
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers start anew elsewhere")
HERE = "tests.doctune.launcher.preloads"
# `tests.conftest` has it as well, which workers would import with this file.
REPOSITORY = Path(__file__).parents[3]


def look(words: list[str], number: int) -> JobReturn:
    """Return what a worker has of its server, and what of its own."""
    plain = sys.modules.get(f"{HERE}.plain")
    return job(
        {
            "parent": os.getppid(),
            "preloaded_in": getattr(plain, "IMPORTED_IN", None),
            "garbage": (getattr(plain, "LOOKED_FOR_GARBAGE", None), gc.isenabled()),
            "alembic": "alembic.context" in sys.modules,
            "threads": os.environ.get("OMP_NUM_THREADS"),
            "drawn": np.random.random(),
            "server_of_its_own": server_pid(),
        }
    )


@pytest.fixture
def pools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr("doctune.launcher.workers.place.work", look)
    made: list[WorkerPool] = []

    def make(*preload: str, n_workers: int = 1) -> WorkerPool:
        context: Any = NoHydra()
        made.append(WorkerPool(n_workers, [], preload, context, str(tmp_path)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def seen_by(pool: WorkerPool, number: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = pool.run([], number)._return_value
    return found


def test_a_server_that_is_ended_while_it_is_asked_for_a_copy_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Ctrl-C does in another thread: Python's own has then lost its address."""
    server = ForkServer([], {}, str(tmp_path / "log"))
    ensure_running = forkserver._forkserver.ensure_running  # type: ignore[attr-defined]

    def and_end() -> None:
        ensure_running()
        server.forbid()

    monkeypatch.setattr(forkserver._forkserver, "ensure_running", and_end)  # type: ignore[attr-defined]
    try:
        assert server.context().get_start_method() == "spawn"
    finally:
        server.close()
    assert not server_pid()


def test_workers_share_what_was_imported_once(pools: Any) -> None:
    pool = pools(f"{HERE}.plain", n_workers=2)
    pool.start()
    first, second = (place for place in pool._places)
    seen = [place.run([], i, ())._return_value for i, place in enumerate((first, second))]
    assert [each["preloaded_in"] for each in seen] == [server_pid()] * 2
    assert [each["parent"] for each in seen] == [server_pid()] * 2
    # While it was imported there was no search for garbage; in the copies there is.
    assert [each["garbage"] for each in seen] == [(False, True)] * 2
    # They are copies of one process, and nevertheless not twins.
    assert seen[0]["drawn"] != seen[1]["drawn"]
    # Set before a library could read it.
    assert seen[0]["threads"] == str(max(1, len(os.sched_getaffinity(0)) // 2))
    assert seen[0]["server_of_its_own"] == 0


@pytest.mark.parametrize("preload", ["threaded", "on_a_device"])
def test_what_cannot_be_copied_starts_anew(
    pools: Any, preload: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "nvidia0"
    device.touch()
    monkeypatch.setenv("DEVICE_OF_TEST", str(device))
    monkeypatch.setattr("doctune.launcher.workers.fork_server.DEVICES", (str(device),))
    seen = seen_by(pools(f"{HERE}.{preload}"))
    assert seen["parent"] == os.getpid()
    assert server_pid() == 0


def test_a_module_that_cannot_be_imported_fails_in_the_worker(pools: Any, tmp_path: Path) -> None:
    pool = pools("tests.doctune.launcher.nosuch")
    with pytest.raises((ProcessExpired, BrokenProcessPool)):
        pool.run([], 0)
    assert "nosuch" in (tmp_path / "worker-0.log").read_text()


@pytest.mark.parametrize("preload", ["doctune.study.storage", f"{HERE}.plain"])
def test_a_worker_of_jobs_that_have_a_trial_is_ready_for_its_storage(
    pools: Any, preload: str
) -> None:
    """Others import no more than they ask for."""
    assert seen_by(pools(preload))["alembic"] == (preload == "doctune.study.storage")


def test_a_second_pool_starts_its_workers_anew(pools: Any) -> None:
    first, second = pools(), pools()
    assert seen_by(first)["parent"] == server_pid()
    assert seen_by(second)["parent"] == os.getpid()


def test_the_server_ends_with_the_pool_also_while_it_starts(pools: Any) -> None:
    pool = pools(f"{HERE}.slow")
    pool.start()
    wait_until(lambda: server_pid() != 0)
    server = psutil.Process(server_pid())
    pool.close()
    assert not server.is_running()
    assert server_pid() == 0


def test_a_server_that_is_killed_takes_its_workers_along_and_others_start(pools: Any) -> None:
    pool = pools()
    seen = seen_by(pool)
    assert seen["parent"] == server_pid()
    psutil.Process(seen["parent"]).kill()
    wait_until(lambda: not pool._places[0]._pool.active)
    assert seen_by(pool)["parent"] != seen["parent"]


@pytest.fixture
def ahead() -> Iterator[int]:
    """Return the id of a server that has begun before there is a pool."""
    ForkServer.start_ahead([f"{HERE}.plain"], same_for_all(1, []))
    yield server_pid()
    ForkServer.end_ahead()


def test_a_pool_takes_over_what_was_started_ahead_for_it(
    ahead: int, pools: Any, tmp_path: Path
) -> None:
    pool = pools(f"{HERE}.plain")
    ForkServer.end_ahead()
    seen = seen_by(pool)
    assert seen["parent"] == seen["preloaded_in"] == ahead
    # Printed before it was known where.
    assert "imported" in (tmp_path / "worker-0.log").read_text()
    pool.close()
    assert not psutil.pid_exists(ahead)


@pytest.mark.parametrize("differs", ["modules", "threads"])
def test_what_was_started_ahead_for_another_pool_ends(ahead: int, pools: Any, differs: str) -> None:
    pool = pools() if differs == "modules" else pools(f"{HERE}.plain", n_workers=2)
    assert not psutil.pid_exists(ahead)
    assert seen_by(pool)["parent"] not in (ahead, os.getpid())


ENDS_AT_ONCE = """
import os
from doctune.launcher.workers.fork_server import ForkServer, server_pid
ForkServer.start_ahead(["tests.doctune.launcher.preloads.slow"], {})
os.write(1, str(server_pid()).encode())
input()
os._exit(1)
"""


def test_what_was_started_ahead_ends_with_its_command_however_that_ends() -> None:
    command = [sys.executable, "-c", ENDS_AT_ONCE]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        # Whoever runs the tests in the background has switched it off for all that they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as begun:
        assert begun.stdout is not None
        server = psutil.Process(int(os.read(begun.stdout.fileno(), 20)))
        # When it ignores Ctrl-C it knows with whom it is to end.
        wait_until(lambda: is_ignored(signal.SIGINT, server.pid))
        _, told = begun.communicate(b"\n")
    wait_until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)
    assert told == b""


def is_ignored(number: int, pid: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigIgn"))
    return bool(mask & 1 << number - 1)


def test_a_server_that_begins_hears_nothing_of_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    held_back = []
    monkeypatch.setattr(
        "multiprocessing.forkserver.ensure_running",
        lambda: held_back.append(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    )
    ForkServer.start_ahead([], {})
    ForkServer.end_ahead()
    assert signal.SIGINT in held_back[0]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
