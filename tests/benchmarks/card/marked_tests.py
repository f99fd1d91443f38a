"""The tests that are marked `gpu`, each with its outcome and seconds."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.card.parts import Row
from tests.conftest import REPOSITORY

# Without a card one file shows that they are found.
TINY = REPOSITORY / "tests" / "data" / "test_augment.py"
# The quickest first: kernels are made for some.
LAST = ("several_cards", "device_busy")


def rows(tiny: bool, limit: float) -> Iterator[Row]:
    """Run them, each a row as it ends; without a card they skip."""
    where = [TINY] if tiny else list(_files())
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-v", "--tb=short"]
    done = subprocess.Popen(
        [*command, "--timeout=60", "-p", "no:cacheprovider", *map(str, where)],
        cwd=REPOSITORY,
        env={**os.environ, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.stdout is not None
    # Those of the first hold the start of pytest, and all imports.
    began = time.monotonic()
    for line in done.stdout:
        print(line, end="")
        found = re.match(r"^(\S+::\S.*?) (PASSED|FAILED|SKIPPED|ERROR)\b", line)
        if found:
            name = found[1].rpartition("/")[2]
            ended = time.monotonic()
            yield {"test": name, "outcome": found[2].lower(), "seconds": ended - began}
            began = ended
    if done.wait() not in (0, 1):
        raise SystemExit(f"pytest ended with {done.returncode}")


def _files() -> Iterator[Path]:
    """Yield the files that have such tests: importing all others takes long."""
    mark = "@pytest.mark." + "gpu"
    paths = (REPOSITORY / "tests").rglob("test_*.py")
    for path in sorted(paths, key=lambda path: (any(word in path.name for word in LAST), path)):
        if mark in path.read_text(encoding="utf-8"):
            yield path
