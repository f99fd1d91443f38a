"""What begins preloaded is like what Python starts itself."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests import preloaded
from tests.preloaded import Command

SMALL = """
import atexit, os, sys
atexit.register(print, "at exit")
print(sys.argv, sys.orig_argv[1:], __name__, __spec__.name, sys.path[:2], os.getcwd())
print(dict(os.environ), os.getpgrp(), os.getsid(0), sys.stdin.read())
print("complains", file=sys.stderr)
ENDS
"""
SPAWNS = """
import multiprocessing, os, sys

def look(found):
    ours = {name for name in sys.modules if name.split(".")[0] in ("doctune", "src", "tests")}
    found.put(("torch" in sys.modules, os.getppid(), ours, sys.argv))

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    found, all_said = context.Queue(), []
    for _ in range(3):
        process = context.Process(target=look, args=(found,))
        process.start()
        all_said.append(found.get(timeout=100))
        process.join()
        assert process.exitcode == 0
    assert [said[0] for said in all_said] == [True, True, False], all_said
    assert [said[1:] for said in all_said] == [(os.getpid(), set(), sys.argv)] * 3, all_said
"""


def environment() -> dict[str, str]:
    # What Python itself reads is read once; without a locale it would add one.
    kept = {name: value for name, value in os.environ.items() if name.startswith("PYTHON")}
    return {**kept, "LC_ALL": "C.UTF-8", "PYTHONPATH": "/nowhere", "COLOUR": "blue"}


@pytest.mark.parametrize(
    "ends",
    [
        "",
        "sys.exit(3)",
        "sys.exit('the last word')",
        "raise ValueError('wrong')",
        "os._exit(4)",
        "os.kill(os.getpid(), 9)",
    ],
)
def test_a_command_does_as_from_a_shell(tmp_path: Path, ends: str) -> None:
    (tmp_path / "small.py").write_text(SMALL.replace("ENDS", ends))
    command = [sys.executable, "-m", "small", "--word", "ü"]
    ran = [
        begin(
            command,
            cwd=tmp_path,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for begin in (Command, subprocess.Popen)
    ]
    (said, told), (expected, expected_told) = (each.communicate("typed", 100) for each in ran)
    assert said == expected
    assert told.splitlines()[-1:] == expected_told.splitlines()[-1:]
    assert ran[0].returncode == ran[1].returncode


def test_what_it_spawns_is_its_child_and_preloaded_too(tmp_path: Path) -> None:
    (tmp_path / "spawns.py").write_text(SPAWNS)
    done = preloaded.run([sys.executable, "-m", "spawns"], tmp_path, environment(), 100)
    assert done.returncode == 0, done.stderr


def test_it_can_be_signalled_and_its_group_killed(tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text("import time\nprint(1, flush=True)\ntime.sleep(600)")
    for number, end in ((signal.SIGTERM, os.kill), (signal.SIGKILL, os.killpg)):
        with Command(
            [sys.executable, "-m", "waits"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "1\n"
            assert process.poll() is None
            end(process.pid, number)
            assert process.wait(100) == -number


def test_what_takes_too_long_is_killed(tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text("import time\ntime.sleep(600)")
    with pytest.raises(subprocess.TimeoutExpired):
        preloaded.run([sys.executable, "-m", "waits"], tmp_path, environment(), 0.5)


def test_code_begins_so_too() -> None:
    code = "import sys; print('torch' in sys.modules, sys.argv, __name__)"
    with Command(
        [sys.executable, "-c", code, "word"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.communicate(timeout=100)[0] == "True ['-c', 'word'] __main__\n"
    assert process.returncode == 0


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="runs in pytest's own process")
def test_a_process_of_xdists_is_a_copy_of_the_server() -> None:
    assert "tests.preloading" in psutil.Process().cmdline()
