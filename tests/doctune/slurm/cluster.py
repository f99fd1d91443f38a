"""A real Slurm of one node on this machine, for the tests, and what runs on it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("one_node_slurm.sh")
NEEDS = ("slurmctld", "slurmd", "munged", "sbatch")


def why_not() -> str | None:
    """Return why no Slurm can be started here, None where it can."""
    # Where Debian keeps them, which is not on the path of every user.
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [name for name in NEEDS if shutil.which(name, path=path) is None]
    if missing:
        return f"{', '.join(missing)} is not installed (apt-get install slurm-wlm munge)"
    if os.getuid() != 0:
        return "slurmd starts jobs for their users, for which it has to be root"
    return None


@contextmanager
def cluster() -> Iterator[str]:
    """Start Slurm; yield the value of SLURM_CONF with which its commands find it."""
    started = subprocess.Popen(
        # Until its input is closed.
        [str(SCRIPT), "sh", "-c", 'echo "$SLURM_CONF"; cat'],
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    conf = started.stdout.readline().strip()
    assert conf, started.communicate()[1]
    try:
        yield conf
    finally:
        started.communicate(timeout=60)


@pytest.fixture(scope="session")
def slurm() -> Iterator[str]:
    """Start Slurm; return the value of SLURM_CONF."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with cluster() as conf:
        yield conf


def jobs(state: str) -> list[str]:
    command = ["squeue", "--noheader", "--format=%i", f"--states={state}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def waiting() -> list[str]:
    return jobs("PENDING")


def running() -> list[str]:
    return jobs("RUNNING")
