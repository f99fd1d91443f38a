"""Functions called in a copy of the process that workers are copies of.

What needs the libraries of a trial before there is one, as a look at its model does, is asked
there: the process of the search imports none of them, and does other things while others import.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from multiprocessing import reduction
from typing import Any, TypeVar

from doctune.launcher.workers.fork_server import ForkServer, leave_server

Result = TypeVar("Result")


def call_beside(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function where what trials need is imported; waits until it is.

    That is a copy of the fork server of this process, the same one for all calls; without a server,
    or where it cannot be copied, it is this process.

    Args:
        function: of a module, so that the copy finds it by name.
        arguments: can be pickled, and so can what is returned.

    Raises:
        Exception: whatever the function has raised.
    """
    server = ForkServer.started()
    asked = None if server is None else _asked(server)
    if asked is None:
        return function(*arguments)
    try:
        return asked.call(function, *arguments)  # type: ignore[no-any-return]
    except (EOFError, OSError):
        # It was killed; here the reason shows.
        return function(*arguments)


def _asked(server: ForkServer) -> "_Copy | None":
    context = server.context()
    if context.get_start_method() != "forkserver":
        return None
    return server.kept(lambda: _Copy(context))


class _Copy:
    """A copy of the fork server that answers calls until it is closed."""

    def __init__(self, context: Any) -> None:
        self._connection, theirs = context.Pipe()
        self._process: Any = context.Process(target=_answer, args=(theirs, _Outputs()), daemon=True)
        self._process.start()
        theirs.close()
        self._one_at_a_time = threading.Lock()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with self._one_at_a_time:
            try:
                self._connection.send((function, arguments))
                came, what = self._connection.recv()
            except BaseException:
                # Its answer would be taken for that to another question.
                self.close()
                raise
        if came:
            return what
        raise what

    def close(self) -> None:
        self._connection.close()
        self._process.kill()
        self._process.join()


class _Outputs:
    """The standard output and error of the process that sends it, for one that it starts."""

    def __getstate__(self) -> list[Any]:
        return [reduction.DupFd(number) for number in (1, 2)]  # type: ignore[attr-defined]

    def __setstate__(self, sent: list[Any]) -> None:
        for number, each in zip((1, 2), sent, strict=True):
            here = each.detach()
            os.dup2(here, number)
            os.close(here)


def _answer(connection: Any, _: _Outputs) -> None:
    """Call what is asked for until whoever asks is gone."""
    leave_server()
    with contextlib.suppress(EOFError, OSError):
        while True:
            function, arguments = connection.recv()
            try:
                answer = True, function(*arguments)
            except Exception as error:
                answer = False, error
            _send(connection, answer)


def _send(connection: Any, answer: tuple[bool, Any]) -> None:
    try:
        connection.send(answer)
    except (TypeError, AttributeError, ValueError) as error:
        # Some of what libraries raise cannot be pickled.
        connection.send((False, RuntimeError(f"{answer[1]!r} ({error})")))
