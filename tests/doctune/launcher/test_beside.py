"""Functions that are called in a copy of the fork server, where trials' libraries are."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from doctune.errors import UserError
from doctune.launcher.workers.beside import call_beside
from doctune.launcher.workers.fork_server import ForkServer, server_pid

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is copied elsewhere")
HERE = "tests.doctune.launcher.preloads"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ForkServer]:
    found = ForkServer(
        ["doctune.launcher.workers.beside", f"{HERE}.plain"], {}, str(tmp_path / "log")
    )
    found.start()
    yield found
    found.close()


def whereabouts() -> dict[str, int | None]:
    imported = sys.modules.get(f"{HERE}.plain")
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "imported in": getattr(imported, "IMPORTED_IN", None),
    }


def refuse(told: str) -> None:
    raise UserError(told)


class UntoldError(Exception):
    def __init__(self) -> None:
        super().__init__("it went wrong")
        self.cannot_be_sent = lambda: None


def fail_untold() -> None:
    raise UntoldError


def end() -> int:
    if server_pid() == 0:
        os._exit(3)
    return os.getpid()


def say() -> None:
    os.write(1, b"to the screen\n")
    os.write(2, b"and its errors\n")


def test_without_a_server_it_is_called_here() -> None:
    assert call_beside(whereabouts)["pid"] == os.getpid()


@pytest.mark.usefixtures("server")
def test_all_calls_are_of_one_copy_of_the_server() -> None:
    first, second = call_beside(whereabouts), call_beside(whereabouts)
    assert first == second
    assert first["parent"] == first["imported in"] == server_pid()


@pytest.mark.usefixtures("server")
def test_what_is_raised_there_is_raised_here() -> None:
    with pytest.raises(UserError, match="optimizer"):
        call_beside(refuse, "optimizer.lr=-1: must be above 0")
    with pytest.raises(RuntimeError, match="it went wrong"):
        call_beside(fail_untold)
    # It answers on.
    assert call_beside(whereabouts)["pid"] != os.getpid()


@pytest.mark.usefixtures("server")
def test_a_copy_that_is_killed_is_done_without() -> None:
    assert call_beside(end) == os.getpid()


def test_what_it_says_is_on_the_screen_and_it_ends_with_the_server(
    server: ForkServer, capfd: pytest.CaptureFixture[str]
) -> None:
    copy = psutil.Process(call_beside(whereabouts)["pid"])
    call_beside(say)
    assert capfd.readouterr() == ("to the screen\n", "and its errors\n")
    server.close()
    assert not copy.is_running()
    assert ForkServer.started() is None
    assert call_beside(whereabouts)["pid"] == os.getpid()
