"""What the machine has, found without importing torch."""

import contextlib
import functools
import os
from dataclasses import dataclass

import pynvml


@dataclass(frozen=True)
class Card:
    """One CUDA device, as `CUDA_VISIBLE_DEVICES` allows it to be seen."""

    name: str
    memory_gb: float


@functools.cache
def cards() -> tuple[Card, ...]:
    """Return the CUDA devices of this machine, none where there is no driver."""
    found: list[Card] = []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    with contextlib.suppress(pynvml.NVMLError):
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            name = pynvml.nvmlDeviceGetName(handle)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle).total
            found.append(Card(str(name), memory / 2**30))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return tuple(found)
    chosen = [part.strip() for part in visible.split(",")]
    return tuple(found[int(part)] for part in chosen if part.isdigit() and int(part) < len(found))


def visible_devices() -> list[str]:
    """Return the values of CUDA_VISIBLE_DEVICES that name one card each."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible:
        return [part.strip() for part in visible.split(",") if part.strip()][: len(cards())]
    return [str(index) for index in range(len(cards()))]


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
