"""Commands that begin as a fork of a process with torch in it: in a tenth of a second, not in five.

Each is a process like any other: its words, folder, environment, standard files, session, signals
and exit status are its own, it imports every file of this project anew, and it ends as Python
ends. Only what it imports of others is there already, so whoever tests imports, or the first
moments of an interpreter, takes `subprocess` itself.

    python -m tests.preloaded LISTENER    # the number of a socket's file
"""

import ast
import atexit
import contextlib
import functools
import gc
import inspect
import json
import multiprocessing.util
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from fcntl import F_DUPFD_CLOEXEC, fcntl
from pathlib import Path
from typing import Any, NoReturn

REPOSITORY = Path(__file__).parents[1]
# Where the server of all processes of a test run listens.
ADDRESS = "TESTS_PRELOADED"
# Packages that few commands take; they import them themselves.
RARE = {"imagecodecs", "mlflow", "onnx", "onnxruntime", "pynvml", "ray", "submitit", "wandb"}
# What is chosen by a name in a URL or in a config, and read when it is first used.
BY_NAME = ("alembic.command", "psycopg", "sqlalchemy.dialects.sqlite", "optuna.samplers")
# A file's number above those that a command gives to what it spawns.
HIGH = 200


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
    """A `Popen` of a `python -m MODULE ...` that begins preloaded; what it starts does not."""

    ready = 0

    def _execute_child(self, *given: Any) -> None:
        names = inspect.signature(subprocess.Popen._execute_child).bind(self, *given).arguments  # type: ignore[attr-defined]
        assert names["args"][:2] == [sys.executable, "-m"], names["args"]
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
            [sys.executable, "-m", __name__, number],
            cwd=REPOSITORY,
            # NumPy's algebra would start threads at its import.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            pass_fds=[listener.fileno()],
            # Its end tells the server that nobody is left.
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        _kept.append(process)
    os.environ[ADDRESS] = address
    return address


def serve(listener: socket.socket) -> Start:
    """Fork for every start that is asked for; return it in the process that it is for."""
    # Those that attend to a process each.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with selectors.DefaultSelector() as asked:
        asked.register(0, selectors.EVENT_READ)
        asked.register(listener, selectors.EVENT_READ)
        while True:
            if any(key.fd == 0 for key, _ in asked.select()):
                address = Path(listener.getsockname())
                address.unlink()
                address.parent.rmdir()
                sys.exit()
            connection, _ = listener.accept()
            if os.fork() == 0:
                break
            connection.close()
    listener.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    start = attend(connection)
    signal.signal(signal.SIGINT, interrupted)
    return start


def attend(connection: socket.socket) -> Start:
    """Start a process, and tell its id and how it ends; return in that process only."""
    start, files = received(connection)
    pid = os.fork()
    if pid == 0:
        connection.close()
        become(start, files)
        return start
    for file in files:
        os.close(file)
    tell(connection, pid)
    _, status = os.waitpid(pid, 0)
    tell(connection, status)
    os._exit(0)


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


def become(start: Start, files: Sequence[int]) -> None:
    """Make this process what `start` says, but for what it runs."""
    moved = [fcntl(file, F_DUPFD_CLOEXEC, HIGH) for file in files]
    for file in files:
        os.close(file)
    for file, number in zip(moved, start.files, strict=True):
        os.dup2(file, number)
        os.close(file)
    if start.new_session:
        os.setsid()
    os.chdir(start.folder)
    os.environ.clear()
    os.environ.update(start.environment)
    given = [place for place in start.environment.get("PYTHONPATH", "").split(os.pathsep) if place]
    sys.path[:] = [start.folder, *given, *(place for place in sys.path if place in INSTALLED)]
    sys.orig_argv = start.args
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    sys.modules["__main__"] = types.ModuleType("__main__")


def keep_ready(count: int) -> Callable[[], None] | None:
    """Have processes that become what multiprocessing starts here: workers, or a fork server.

    Args:
        count: of them; beyond, Python starts as it does.

    Returns:
        In a process that was needed: what it has to do.
    """
    ready: list[tuple[int, socket.socket]] = []
    for _ in range(count):
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            for connection in (ours, *(connection for _, connection in ready)):
                connection.close()
            return spawned(theirs)
        theirs.close()
        ready.append((pid, ours))
    start_python = multiprocessing.util.spawnv_passfds  # type: ignore[attr-defined]

    def spawn(path: Any, args: Sequence[Any], files: Sequence[int]) -> int:
        words = [*map(os.fsdecode, args)]
        if not ready or "resource_tracker" in words[-1]:
            return start_python(path, args, files)  # type: ignore[no-any-return]
        pid, connection = ready.pop()
        with connection:
            Start(words, os.getcwd(), dict(os.environ), [*files]).send(connection, files)
        return pid

    multiprocessing.util.spawnv_passfds = spawn  # type: ignore[assignment]
    return None


def spawned(connection: socket.socket) -> Callable[[], None]:
    """Wait to be needed; return what the process is to run then."""
    try:
        start, files = received(connection)
    except EOFError:
        os._exit(0)
    connection.close()
    become(start, files)
    where = start.args.index("-c")
    sys.argv = start.args[where : where + 1] + start.args[where + 2 :]
    return functools.partial(exec, start.args[where + 1], vars(sys.modules["__main__"]))


def imported() -> set[str]:
    """Return all modules of others that the files of this project import, but for the rare."""
    found = set(BY_NAME)
    for package in ("doctune", "src"):
        for path in (REPOSITORY / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Import):
                    found.update(name.name for name in node.names)
                elif isinstance(node, ast.ImportFrom):
                    found.update(f"{node.module}.{name.name}" for name in node.names)
    return {name for name in found if name.partition(".")[0] not in {"doctune", "src", *RARE}}


def main(listener: socket.socket) -> NoReturn:
    """Serve, and in each process that this begins run what it is for."""
    for name in imported():
        # The last part may be a module as well as something in it; a package may not be installed.
        with contextlib.suppress(ImportError):
            pkgutil.resolve_name(name)
    tasks = Path("/proc/self/task")
    assert not tasks.exists() or len(list(tasks.iterdir())) == 1, "forks would lack the threads"
    gc.collect()
    gc.freeze()
    start = serve(listener)
    run_here = keep_ready(start.ready)
    try:
        if run_here is None:
            sys.argv = ["-m", *start.args[3:]]
            # What `python -m` itself calls.
            runpy._run_module_as_main(start.args[2])  # type: ignore[attr-defined]
        else:
            run_here()
    except SystemExit as end:
        leave(end.code)
    leave(None)


def leave(code: Any) -> NoReturn:
    """End as Python does, but for taking all modules apart: those are the server's pages."""
    threading._shutdown()  # type: ignore[attr-defined]
    if isinstance(code, str):
        print(code, file=sys.stderr)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1 if isinstance(code, str) else code or 0)


# Without the folder of this project and those that the server alone was given.
INSTALLED = frozenset(
    place
    for place in sys.path
    if place not in {str(REPOSITORY), *os.environ.get("PYTHONPATH", "").split(os.pathsep)}
)

if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
