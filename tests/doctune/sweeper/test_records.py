"""The log of a search, `search.log`."""

from pathlib import Path

import pytest

from doctune.sweeper.records import lines, log_to


def test_a_full_disk_costs_the_log_alone(capfd: pytest.CaptureFixture[str]) -> None:
    # The kernel's own disk that is always full.
    with log_to(Path("/dev/full")):
        lines.info("trial 0 done")
    assert capfd.readouterr().err == ""
