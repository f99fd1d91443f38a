"""Commands that begin as a fork of a process with torch in it: in a tenth of a second, not in five.

So do the processes of xdist, which would each import it for ten seconds of a core.

Each is a process like any other: its words, folder, environment, standard files, session, signals
and exit status are its own, it imports every file of this project anew, and it ends as Python
ends. Only what it imports of others is there already, so whoever tests imports, or the first
moments of an interpreter, takes `subprocess` itself.
"""

import functools
import inspect
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from execnet import gateway_io
from execnet.gateway_base import Popen2IO

REPOSITORY = Path(__file__).parents[1]
ALONE = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
# Where the server of all processes of a test run listens.
ADDRESS = "TESTS_PRELOADED"


@dataclass(frozen=True)
class Start:
    """How a process is to begin, as `Popen` takes it.

    Attributes:
        files: the numbers that those files have in it that come along.
        ready: how many more stand ready for what multiprocessing starts there.
    """

    args: list[str]
    folder: str
    environment: dict[str, str]
    files: Sequence[int] = (0, 1, 2)
    new_session: bool = False
    ready: int = 0

    def send(self, connection: socket.socket, files: Sequence[int]) -> None:
        socket.send_fds(connection, [b"."], list(files))
        tell(connection, asdict(self))


def tell(connection: socket.socket, what: Any) -> None:
    connection.sendall(json.dumps(what).encode() + b"\n")


class Command(subprocess.Popen[str]):
    """A `Popen` of a `python -m MODULE ...`, or `-c CODE`, that begins preloaded.

    What it starts does not.
    """

    ready = 0

    def _execute_child(self, *given: Any) -> None:
        names = inspect.signature(subprocess.Popen._execute_child).bind(self, *given).arguments  # type: ignore[attr-defined]
        assert names["args"][0] == sys.executable, names["args"]
        assert names["args"][1] in ("-m", "-c"), names["args"]
        assert names["preexec_fn"] is None
        start = Start(
            list(names["args"]),
            os.path.abspath(names["cwd"] or "."),
            dict(os.environ if names["env"] is None else names["env"]),
            new_session=names["start_new_session"],
            ready=self.ready,
        )
        ends = [names[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        self._waiter = socket.socket(socket.AF_UNIX)
        self._waiter.connect(server())
        start.send(self._waiter, [number if end == -1 else end for number, end in enumerate(ends)])
        self._told = self._waiter.makefile("rb")
        self.pid = json.loads(self._told.readline())
        self._child_created = True
        self._close_pipe_fds(  # type: ignore[attr-defined]
            *(names[name] for name in ("p2cread", "p2cwrite", "c2pread", "c2pwrite")),
            *(names[name] for name in ("errread", "errwrite")),
        )

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        """Do as `waitpid` does; the process is a child of the server's."""
        with selectors.DefaultSelector() as ended:
            ended.register(self._waiter, selectors.EVENT_READ)
            if not ended.select(0 if wait_flags & os.WNOHANG else None):
                return 0, 0
        status: int = json.loads(self._told.readline())
        self._told.close()
        self._waiter.close()
        return self.pid, status

    def _internal_poll(self, _deadstate: Any = None, **_: Any) -> int | None:
        if self.returncode is None:
            with self._waitpid_lock:  # type: ignore[attr-defined]
                if self.returncode is None:
                    pid, status = self._try_wait(os.WNOHANG)
                    if pid == self.pid:
                        self._handle_exitstatus(status)  # type: ignore[attr-defined]
        return self.returncode


class WithItsWorkers(Command):
    """A command whose workers begin preloaded too; their command lines are not what is usual."""

    ready = 2


def run(
    args: list[str], folder: Path, environment: dict[str, str], seconds: float
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, as `subprocess.run` does, and return all that it said.

    Raises:
        subprocess.TimeoutExpired: it has taken longer than that, and was killed.
    """
    pipe = subprocess.PIPE
    with WithItsWorkers(
        args, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            said, complained = process.communicate(timeout=seconds)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(args, process.returncode, said, complained)


class OfXdist(gateway_io.Popen2IOMaster):
    """A process of xdist's that begins preloaded."""

    def __init__(self, args: list[str], execmodel: Any) -> None:
        pipe = subprocess.PIPE
        # But for Python's own flags, which are the server's.
        self.popen = Command([sys.executable, *args[-2:]], stdin=pipe, stdout=pipe)
        Popen2IO.__init__(self, self.popen.stdin, self.popen.stdout, execmodel)


def preload_xdist() -> None:
    """Start one server for all processes of this run, and let them begin preloaded themselves."""
    server()
    vars(gateway_io)["Popen2IOMaster"] = OfXdist


# Their ends of pipes close with them.
_kept: list["subprocess.Popen[bytes]"] = []


@functools.cache
def server() -> str:
    """Return the address of the server, which is started where there is none yet.

    It ends with this process, and serves all that this process starts from now on.
    """
    if ADDRESS in os.environ:
        return os.environ[ADDRESS]
    address = str(Path(tempfile.mkdtemp(prefix="preloaded-")) / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        number = str(listener.fileno())
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.preloading", number],
            cwd=REPOSITORY,
            # NumPy's algebra would start threads at its import, and so would PyArrow, which
            # pandas imports where Ray Tune has installed it.
            env={**os.environ, **ALONE},
            pass_fds=[listener.fileno()],
            # Its end tells the server that nobody is left.
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        _kept.append(process)
    os.environ[ADDRESS] = address
    return address


def received(connection: socket.socket) -> tuple[Start, list[int]]:
    """Return a start, and its files as they are numbered here.

    Raises:
        EOFError: whoever might have sent one is gone.
    """
    _, files, _, _ = socket.recv_fds(connection, 1, 8)
    with connection.makefile("rb") as told:
        words = told.readline()
    if not words:
        raise EOFError
    return Start(**json.loads(words)), files
