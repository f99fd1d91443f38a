"""A door whose processes for further cards begin preloaded, as it does itself.

`python -m tests.training.preloaded_cards MODULE ...`
"""

import runpy
import subprocess
import sys
from types import SimpleNamespace

from pytorch_lightning.strategies.launchers import subprocess_script

from tests.preloaded import Command


def begin_so() -> None:
    """Have Lightning begin the processes of further cards preloaded; its words stay the same."""
    begin = SimpleNamespace(**{**vars(subprocess), "Popen": Command})
    vars(subprocess_script)["subprocess"] = begin


if __name__ == "__main__":
    begin_so()
    door = sys.argv[1]
    del sys.argv[1]
    # Lightning asks the main module for its name.
    runpy.run_module(door, run_name="__main__", alter_sys=True)
