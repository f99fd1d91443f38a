"""The processes that a job has started, and those that are left when it is over."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

# Parts of the command lines of processes that libraries keep between jobs.
OF_LIBRARIES = ("resource_tracker", "forkserver", "compile_worker", "loky")


def lead_own_group() -> None:
    """Make this process the leader of a group, in which all that it starts will be."""
    if hasattr(os, "setpgid"):
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)


def descendants(pid: int) -> list[psutil.Process]:
    """Return the processes that a process has started, and those that they have; none if gone."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def words_of(process: psutil.Process) -> list[str]:
    """Return the command line of a process; none where it is gone."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def end_group(pid: int) -> None:
    """End what is left of the group that a process led.

    Once the leader is gone its id might be given out again, so only what is of this session ends.
    """
    if not pid or not hasattr(os, "getpgid"):
        return
    for member in psutil.pids():
        with contextlib.suppress(OSError):
            if os.getpgid(member) == pid and os.getsid(member) == os.getsid(0):
                os.kill(member, signal.SIGKILL)


def end_all(processes: Iterable[psutil.Process]) -> None:
    """End processes at once."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def end_with_family() -> None:
    """End this process and all that it has started, at once."""
    end_all(descendants(os.getpid()))
    if hasattr(os, "getpgid") and os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def left_by_job() -> list[str]:
    """Return the processes that this one has started and that still run, in a few words each."""
    if not _has_children():
        return []
    found = []
    own = words_of(psutil.Process())
    for child in descendants(os.getpid()):
        with contextlib.suppress(psutil.Error):
            words = " ".join(words_of(child))
            # A copy of this process has its words, among them those of the server it is a copy of.
            is_copy = words == " ".join(own)
            is_kept = not is_copy and any(one in words for one in OF_LIBRARIES)
            if child.status() == psutil.STATUS_ZOMBIE or is_kept:
                continue
            found.append(f"{child.pid} ({(words or child.name())[:60]})")
    return found


def _has_children() -> bool:
    """Tell whether there is a child at all; looking through all processes takes a while."""
    if sys.platform != "linux":
        return True
    try:
        tasks = Path("/proc/self/task").iterdir()
        return any((task / "children").read_text() for task in tasks)
    except OSError:
        return True
