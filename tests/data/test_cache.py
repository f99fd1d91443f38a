"""Arrays on disk that are built once, whoever asks and whatever happens meanwhile."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from doctune.errors import UserError
from src.data.cache import cached_array
from tests.conftest import REPOSITORY
from tests.waiting import wait_until


def ones(out: Any) -> None:
    out[:] = 1


def build_slowly(folder: str, count: Any, seconds: float) -> None:
    """Build an array, and count how many do."""

    def fill(out: Any) -> None:
        with count.get_lock():
            count.value += 1
        time.sleep(seconds)
        out[:] = 7

    assert cached_array(folder, "x", (2, 2), fill).max() == 7


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_built_once_and_then_mapped(tmp_path: Path) -> None:
    first = cached_array(str(tmp_path), "x", (3, 2), ones)
    again = cached_array(str(tmp_path), "x", (3, 2), lambda _: pytest.fail("built again"))
    for array in (first, again):
        assert isinstance(array, np.memmap)
        assert array.tolist() == [[1, 1]] * 3
        assert not array.flags.writeable


def test_a_build_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def fail(_: Any) -> None:
        raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError):
        cached_array(str(tmp_path), "x", (2,), fail)
    assert files(tmp_path) == []
    assert cached_array(str(tmp_path), "x", (2,), ones).tolist() == [1, 1]


@pytest.mark.parametrize("left", [0, 40, 200])
def test_a_file_that_was_cut_off_is_built_again(tmp_path: Path, left: int) -> None:
    cached_array(str(tmp_path), "x", (300,), ones)
    os.truncate(tmp_path / "x.npy", left)
    assert cached_array(str(tmp_path), "x", (300,), ones).tolist() == [1] * 300
    assert files(tmp_path) == ["x.npy"]


def test_others_may_read_the_cache(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        cached_array(str(tmp_path), "x", (2,), ones)
    finally:
        os.umask(before)
    assert (tmp_path / "x.npy").stat().st_mode & 0o777 == 0o644


def test_processes_that_come_together_build_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    count = context.Value("i", 0)
    builders = [
        context.Process(target=build_slowly, args=(str(tmp_path), count, 0.3)) for _ in range(4)
    ]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(30)
        assert builder.exitcode == 0
    assert count.value == 1
    assert files(tmp_path) == ["x.npy"]


def test_a_killed_builder_keeps_nobody_waiting(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    count = context.Value("i", 0)
    builder = context.Process(target=build_slowly, args=(str(tmp_path), count, 600))
    builder.start()
    wait_until(lambda: bool(count.value), seconds=60)
    assert builder.pid
    os.kill(builder.pid, signal.SIGKILL)
    builder.join()
    assert files(tmp_path) == ["x.npy.part"]
    assert cached_array(str(tmp_path), "x", (2,), ones).tolist() == [1, 1]
    assert files(tmp_path) == ["x.npy"]


def test_who_waits_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    context = multiprocessing.get_context("fork")
    count = context.Value("i", 0)
    builder = context.Process(target=build_slowly, args=(str(tmp_path), count, 1.5))
    builder.start()
    wait_until(lambda: bool(count.value), seconds=60)
    assert cached_array(str(tmp_path), "x", (2, 2), ones).max() == 7
    builder.join()
    assert "another process prepares x.npy" in capfd.readouterr().err


def test_a_full_disk_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    with pytest.raises(UserError, match=r"data\.cache_dir=.* need 1 MB,"):
        cached_array(str(tmp_path), "x", (2,), lambda _: pytest.fail("written"))
    assert files(tmp_path) == []


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"^data\.cache_dir=.*file: cannot be written to"):
        cached_array(str(tmp_path / "file"), "x", (2, 2), ones)


def test_a_program_without_a_guard_is_told_instead_of_waiting_for_itself(tmp_path: Path) -> None:
    """Processes that draw import its file, which would wait for the lock that it holds itself."""
    (tmp_path / "program.py").write_text(
        "from src.data.config import DataConfig\n"
        "from src.data.load import load_splits\n"
        "load_splits(DataConfig(n_images=400, img_size=8, cache_dir='cache'))\n"
    )
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "below `if __name__ == '__main__':`" in done.stderr
