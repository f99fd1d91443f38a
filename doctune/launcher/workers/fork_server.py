"""A process that has imported what workers need; each worker begins as a copy of it.

A copy is there at once and shares the memory of what was imported. Python's own fork server does
it; here it is told what to import, and is only used where a copy is whole: threads and opened
devices are not copied, so a server that has some is ended again, and workers start anew (`spawn`).
Ours runs on Linux alone, as libraries of macOS do not stand to be copied.
"""

import contextlib
import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import psutil

from doctune.launcher.workers.preloaded import ORDERS, Orders

log = logging.getLogger(__name__)

# Files of the drivers of CUDA and ROCm; who has one open has begun to use a card.
DEVICES = ("/dev/nvidia", "/dev/kfd", "/dev/dri")
# Python has one server a process; a second pool at the same time has workers that start anew.
_in_use = threading.Lock()


class ForkServer:
    """Says how the workers of a pool are started; the server itself starts at the first question.

    Args:
        modules: what workers need; one that cannot be imported is left to them, who tell of it.
        environment: variables that libraries read while they are imported; the same for all.
        log_file: gets what modules print while they are imported.
    """

    def __init__(
        self, modules: Sequence[str], environment: Mapping[str, str], log_file: str
    ) -> None:
        self._orders = Orders(sys.path, list(modules), dict(environment), log_file)
        # Held while the server starts.
        self._start = threading.Lock()
        self._context: BaseContext | None = None
        self._owns_server = False
        self._is_closed = False

    def context(self) -> BaseContext:
        """Return what starts workers; waits until the server has imported what it is to."""
        with self._start:
            if self._context is None:
                is_there = not self._is_closed and sys.platform == "linux" and self._begin()
                method = "forkserver" if is_there else "spawn"
                self._context = multiprocessing.get_context(method)
            return self._context

    def forbid(self) -> None:
        """Let no worker be started any more; who waits for the server does so no longer."""
        self._is_closed = True
        if self._owns_server and self._context is None:
            _end_server()

    def close(self) -> None:
        """End the server; of workers that run it would not be known how they end."""
        self.forbid()
        with self._start:
            self._leave()

    def _begin(self) -> bool:
        """Start the server, and tell whether copies of it are whole."""
        if server_pid() or not _in_use.acquire(blocking=False):
            return False
        self._owns_server = True
        try:
            with self._orders_in_environment():
                forkserver.set_forkserver_preload(["doctune.launcher.workers.preloaded"])
                forkserver.ensure_running()
            if self._is_closed:
                _end_server()
            # Returns when the server has imported everything, and has made a copy.
            probe: Any = multiprocessing.get_context("forkserver").Process(target=int)
            probe.start()
            reason = what_is_not_copied(server_pid())
            probe.kill()
            probe.join()
        except (OSError, EOFError) as error:
            reason = f"it has ended ({error})"
        if reason is not None:
            if not self._is_closed:
                log.info("workers are not copied from a server: %s", reason)
            self._leave()
        return reason is None

    @contextlib.contextmanager
    def _orders_in_environment(self) -> Iterator[None]:
        """Give the orders to a process that is started within; the environment is all it gets."""
        os.environ[ORDERS] = json.dumps(self._orders._asdict())
        try:
            yield
        finally:
            del os.environ[ORDERS]

    def _leave(self) -> None:
        if self._owns_server:
            _end_server()
            forkserver.set_forkserver_preload(["__main__"])
            self._owns_server = False
            _in_use.release()


def server_pid() -> int:
    """Return the id of this process's fork server; 0 where there is none."""
    return forkserver._forkserver._forkserver_pid or 0  # type: ignore[attr-defined]


def _end_server() -> None:
    with contextlib.suppress(OSError):
        if server_pid():
            # While it imports it would not hear that it is to end.
            os.kill(server_pid(), signal.SIGKILL)
    with contextlib.suppress(OSError):
        forkserver._forkserver._stop()  # type: ignore[attr-defined]


def what_is_not_copied(pid: int) -> str | None:
    """Return what copies of a process would be without, None if they are whole.

    To be asked after a first copy was made: libraries that know of copies, as OpenBLAS does, end
    their threads before it, and start them again when they are needed.
    """
    try:
        threads = psutil.Process(pid).num_threads()
        opened = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    except (OSError, psutil.Error) as error:
        return f"it cannot be looked at ({error})"
    if threads > 1:
        return f"what it has imported has started {threads - 1} threads"
    devices = [path for path in opened if path.startswith(DEVICES)]
    return f"what it has imported uses {devices[0]}" if devices else None


def leave_server() -> None:
    """Let this worker have nothing of the server that it may be a copy of.

    A job that asks for a server, as a DataLoader may, gets one of its own, in the worker's place.
    What NumPy draws would be the same in all copies.
    """
    server: Any = forkserver._forkserver  # type: ignore[attr-defined]
    if server._inherited_fds is None:
        return
    os.close(server._forkserver_alive_fd)
    server.__init__()
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()
