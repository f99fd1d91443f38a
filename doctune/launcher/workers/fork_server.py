"""A process that has imported what workers need; each worker begins as a copy of it.

A copy is there at once and shares the memory of what was imported. Python's own fork server does
it; here it is told what to import, and is only used where a copy is whole: threads and opened
devices are not copied, so a server that has some is ended again, and workers start anew (`spawn`).
Ours runs on Linux alone, as libraries of macOS do not stand to be copied.

An app that knows from its first words what workers will need may start it before all else
(`start_ahead`); the pool takes it over if it has guessed right.
"""

import contextlib
import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import IO, Any, ClassVar, Protocol, TypeVar

import psutil

from doctune.launcher.workers.preloaded import ORDERS, Orders

log = logging.getLogger(__name__)

# Files of the drivers of CUDA and ROCm; who has one open has begun to use a card.
DEVICES = ("/dev/nvidia", "/dev/kfd", "/dev/dri")
# What every worker needs of ours.
OURS = ("doctune.launcher.workers.process",)
# Taken by the pool that the server is of; the workers of a second one at the same time start anew.
_in_use = threading.Lock()


class Closable(Protocol):
    """What a server ends with itself."""

    def close(self) -> None:
        """End it at once."""


Kept = TypeVar("Kept", bound=Closable)


class ForkServer:
    """Says how the workers of a pool are started.

    The server itself starts with `start`, or at the first question.

    Args:
        modules: what workers need beside what is ours; one that cannot be imported is left to them,
            who tell of it.
        environment: variables that libraries read while they are imported; the same for all.
        log_file: gets what modules print while they are imported.
    """

    # Python has one server a process.
    _one: ClassVar["ForkServer | None"] = None
    # Started before there is a pool; nobody's yet.
    _ahead: ClassVar["ForkServer | None"] = None

    def __init__(
        self, modules: Sequence[str], environment: Mapping[str, str], log_file: str
    ) -> None:
        self._orders = Orders([*sys.path], [*OURS, *modules], dict(environment), log_file)
        self._log_file = log_file
        # What is printed before it is known where the log is.
        self._printed: IO[bytes] | None = None
        # Held while the server starts.
        self._start = threading.Lock()
        self._context: BaseContext | None = None
        self._owns_server = False
        self._is_closed = False
        self._kept: list[Any] = []

    @classmethod
    def start_ahead(cls, modules: Sequence[str], environment: Mapping[str, str]) -> None:
        """Let a server begin to import before there is a pool, and a log; returns at once.

        It ends with this thread, which is to be the main one, however that ends. Arguments as for
        the class.
        """
        printed = os.fdopen(os.memfd_create("printed"), "w+b")
        # Its name for other processes, as long as this one has it open.
        ahead = cls(modules, environment, f"/proc/{os.getpid()}/fd/{printed.fileno()}")
        ahead._orders = ahead._orders._replace(ends_with_starter=True)
        ahead._printed = printed
        cls._ahead = ahead
        ahead.start()

    @classmethod
    def taken_over(
        cls, modules: Sequence[str], environment: Mapping[str, str], log_file: str
    ) -> "ForkServer":
        """Return the server that was started ahead if it is as it should be, else another one.

        Arguments as for the class.
        """
        ahead, other = cls._ahead, cls(modules, environment, log_file)
        # All but where the log is, and whose end it waits for.
        if ahead is None or ahead._orders[:-2] != other._orders[:-2]:
            cls.end_ahead()
            return other
        cls._ahead, ahead._log_file = None, log_file
        return ahead

    @classmethod
    def end_ahead(cls) -> None:
        """End a server that was started ahead and that no pool has taken over, if there is one."""
        ahead, cls._ahead = cls._ahead, None
        if ahead is not None:
            ahead.close()

    @classmethod
    def started(cls) -> "ForkServer | None":
        """Return the server of this process; None where none was started, or it has ended."""
        return cls._one

    def start(self) -> None:
        """Let the server begin to import; returns at once."""
        with self._start:
            if self._context is None:
                self._launch()

    def context(self) -> BaseContext:
        """Return what starts workers; waits until the server has imported what it is to."""
        with self._start:
            if self._context is None:
                method = "forkserver" if self._launch() and self._is_whole() else "spawn"
                self._context = multiprocessing.get_context(method)
                self._hand_over_printed()
            return self._context

    def kept(self, make: Callable[[], Kept]) -> Kept:
        """Return the copy that is there for questions, made at the first; it ends with the server.

        Args:
            make: starts it.
        """
        with self._start:
            if not self._kept:
                self._kept.append(make())
            found: Kept = self._kept[0]
            return found

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

    def _launch(self) -> bool:
        """Start the server unless it runs; tell whether it does."""
        if self._owns_server:
            return True
        if self._is_closed or sys.platform != "linux" or server_pid():
            return False
        if not _in_use.acquire(blocking=False):
            return False
        self._owns_server, ForkServer._one = True, self
        try:
            # Before Ctrl-C is held back, as it would let it through again.
            resource_tracker.ensure_running()
            with self._orders_in_environment(), _no_interrupt():
                forkserver.set_forkserver_preload(["doctune.launcher.workers.preloaded"])
                forkserver.ensure_running()
        except (OSError, EOFError) as error:
            self._leave(f"it has ended ({error})")
            return False
        if self._is_closed:
            _end_server()
        return True

    def _is_whole(self) -> bool:
        """Wait until the server has imported it all, and tell whether copies of it are whole."""
        try:
            # Returns when the server has made a copy.
            probe: Any = multiprocessing.get_context("forkserver").Process(target=int)
            probe.start()
            reason = what_is_not_copied(server_pid())
            probe.kill()
            probe.join()
        except (OSError, EOFError, TypeError) as error:
            # TypeError: it was ended meanwhile, and Python's own has no address any more.
            reason = f"it has ended ({error})"
        if reason is not None:
            self._leave(reason)
        return reason is None

    def _hand_over_printed(self) -> None:
        """Put what was printed before there was a log into it."""
        if self._printed is None or not os.fstat(self._printed.fileno()).st_size:
            return
        self._printed.seek(0)
        log_file = Path(self._log_file)
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("ab") as kept:
            kept.write(self._printed.read())

    @contextlib.contextmanager
    def _orders_in_environment(self) -> Iterator[None]:
        """Give the orders to a process that is started within; the environment is all it gets."""
        os.environ[ORDERS] = json.dumps(self._orders._asdict())
        try:
            yield
        finally:
            del os.environ[ORDERS]

    def _leave(self, reason: str = "") -> None:
        if reason and not self._is_closed:
            log.info("workers are not copied from a server: %s", reason)
        while self._kept:
            self._kept.pop().close()
        if self._owns_server:
            _end_server()
            forkserver.set_forkserver_preload(["__main__"])
            self._owns_server, ForkServer._one = False, None
            _in_use.release()


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """Hold Ctrl-C back from what is started within, until it can ignore it; and here meanwhile."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
