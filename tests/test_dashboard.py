"""`make dashboard` shows all studies of a storage."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import optuna
import pytest

from tests.conftest import REPOSITORY


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def fetch(url: str, server: subprocess.Popen[bytes]) -> bytes:
    until = time.monotonic() + 120
    while True:
        assert server.poll() is None, "the dashboard has ended"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.URLError:
            assert time.monotonic() < until
            time.sleep(0.2)


@pytest.mark.skipif(not shutil.which("make"), reason="no make here")
def test_all_studies_are_there(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'optuna.db'}"
    for name in ("one", "two"):
        optuna.create_study(storage=storage, study_name=name)
    port = free_port()
    # As if everything were set up: -o leaves the environment alone.
    words = ("-o", ".venv/.installed", "dashboard", f"BIN={Path(sys.executable).parent}")
    server = subprocess.Popen(
        ["make", *words, f"PORT={port}", f"STORAGE={storage}"],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert b"Optuna Dashboard" in fetch(f"http://127.0.0.1:{port}/dashboard", server)
        found = json.loads(fetch(f"http://127.0.0.1:{port}/api/studies", server))
        assert {study["study_name"] for study in found["study_summaries"]} == {"one", "two"}
    finally:
        stop(server)


def stop(server: subprocess.Popen[bytes]) -> None:
    """End make and what it started."""
    os.killpg(server.pid, signal.SIGTERM)
    server.wait(60)
