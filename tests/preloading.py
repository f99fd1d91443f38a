"""The process that has imported torch, and forks for every command that is to begin so.

    python -m tests.preloading LISTENER    # the number of a socket's file

Single-threaded, so that a fork is whole. Between it and each command stands a process that waits
for the command's end, which only a parent is told.
"""

import ast
import atexit
import contextlib
import functools
import gc
import logging
import multiprocessing.util
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import threading
import types
from collections.abc import Callable, Sequence
from fcntl import F_DUPFD_CLOEXEC, fcntl
from pathlib import Path
from typing import Any, NoReturn

from tests.preloaded import REPOSITORY, Start, received, tell

# Packages that few commands take; they import them themselves.
RARE = {"imagecodecs", "mlflow", "onnx", "onnxruntime", "pynvml", "ray", "submitit", "wandb"}
# What is chosen by a name in a URL or in a config, and read when it is first used.
BY_NAME = ("alembic.command", "psycopg", "sqlalchemy.dialects.sqlite", "optuna.samplers")
# A file's number above those that a command gives to what it spawns.
HIGH = 200


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
    if (ranks := sys.modules.get("lightning_fabric.utilities.rank_zero")) is not None:
        # Lightning has asked at its import, for the server, which of several processes it is.
        ranks.rank_zero_only.rank = ranks._get_rank() or 0
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
    return code_of(start)


def code_of(start: Start) -> Callable[[], None]:
    """Return what `python -c CODE` is to run."""
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
        if run_here is None and start.args[1] == "-c":
            code_of(start)()
        elif run_here is None:
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
    # Streams that handlers have taken may be closed by now, as those that pytest catches are.
    logging.raiseExceptions = False
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
