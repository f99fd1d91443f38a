"""What a trial needs is imported once for all workers, which are copies of one process."""

import sys
from pathlib import Path

import pytest

from doctune.launcher.workers.fork_server import ForkServer, server_pid
from tests.conftest import Run


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="workers start anew elsewhere")
def test_what_a_trial_needs_can_be_copied(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its imports begin no thread and use no card; a copy would be without them."""
    # The reason, where it is none.
    caplog.set_level("INFO", "doctune")
    assert not server_pid()
    modules = ["tests.trial.asks_no_card", "src.trial.run"]
    server = ForkServer(modules, {"OMP_NUM_THREADS": "2"}, str(tmp_path / "log"))
    try:
        assert server.context().get_start_method() == "forkserver"
    finally:
        server.close()


@pytest.mark.skipif(sys.platform != "linux", reason="workers start anew elsewhere")
def test_our_own_imports_begin_no_thread_and_use_no_card(run: Run) -> None:
    """Those of others are in the process that this one begins as a copy of; it has no threads."""
    assert run("tests.trial.asks_no_card", cached=False).stdout == "1\n"
