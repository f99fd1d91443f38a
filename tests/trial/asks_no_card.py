"""Imported before what a trial needs: the process ends where a card is asked for anything."""

import os
from typing import Any

import torch


def _asked(*_: Any) -> None:
    os._exit(1)


torch.cuda.is_available = torch.cuda.device_count = torch.cuda.init = _asked  # type: ignore[assignment]
torch._C._cuda_getDeviceCount = _asked  # type: ignore[assignment]
