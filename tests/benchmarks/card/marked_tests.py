"""The tests that are marked `gpu`, each with its outcome and seconds."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

from tests.benchmarks.card.parts import Row
from tests.conftest import REPOSITORY

# Where they are: collecting the others imports for seconds.
FOLDERS = ("tests/training", "tests/data/test_augment.py")
FILES = ("tests/training/test_less_memory.py",)


def rows(tiny: bool, limit: float) -> Iterator[Row]:
    """Run them; without a card they skip."""
    where = FILES if tiny else FOLDERS
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-v", "--tb=short", "--durations=0"]
    done = subprocess.Popen(
        [*command, "--timeout=60", "-p", "no:cacheprovider", *where],
        cwd=REPOSITORY,
        env={**os.environ, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.stdout is not None
    for line in done.stdout:
        print(line, end="")
        found = re.match(r"^(\S+::\S.*?) (PASSED|FAILED|SKIPPED|ERROR)\b", line)
        if found:
            name = found[1].rpartition("/")[2]
            yield {"test": name, "outcome": found[2].lower()}
    if done.wait() not in (0, 1):
        raise SystemExit(f"pytest ended with {done.returncode}")
