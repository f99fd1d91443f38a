"""Waiting for another thread or process, not for longer than it may take."""

import subprocess
import time
from collections.abc import Callable

# Seconds that anything may take on a machine that is busy with other things.
PATIENCE = 250.0


def wait_until(
    condition: Callable[[], bool],
    process: "subprocess.Popen[str] | None" = None,
    seconds: float = PATIENCE,
) -> None:
    """Return when the condition holds.

    Args:
        condition: asked again and again.
        process: has to go on meanwhile; what it said is told if it does not.
        seconds: after which the test fails.
    """
    end = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        if condition():
            return
        if process is not None and process.poll() is not None:
            raise AssertionError(f"ended with {process.returncode}: {process.communicate()}")
        assert time.monotonic() < end, f"not within {seconds:g} s"
        # Whoever asks a storage all the time takes a core from those that are waited for.
        time.sleep(min(max(0.02, 5 * (time.monotonic() - asked)), 0.5))
