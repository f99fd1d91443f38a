"""Imported before what a trial needs: the process ends where a card is asked for anything.

As a program it imports that as well, and tells how many threads there are then.
"""

import importlib
import os
from pathlib import Path
from typing import Any

import torch


def _asked(*_: Any) -> None:
    os._exit(1)


torch.cuda.is_available = torch.cuda.device_count = torch.cuda.init = _asked  # type: ignore[assignment]
torch._C._cuda_getDeviceCount = _asked  # type: ignore[assignment]

if __name__ == "__main__":
    importlib.import_module("src.trial.run")
    print(len(list(Path("/proc/self/task").iterdir())))
