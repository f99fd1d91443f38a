"""How busy a device is over time: the card by NVML, without one the CPU."""

import threading
import time
from statistics import fmean
from typing import Any

import psutil
import pynvml

# NVML looks at what ran in the last sixth of a second to a second.
EVERY = 0.1
BUSY = 50
GIB = 2**30


class Use:
    """Samples a device in a thread, from entering to leaving.

    `seconds`, `busy` (percent) and `used_gb` have an entry a sample.
    """

    def __init__(self, on_card: bool) -> None:
        self.seconds: list[float] = []
        self.busy: list[float] = []
        self.used_gb: list[float] = []
        self._end = threading.Event()
        self._handle = None
        if on_card:
            pynvml.nvmlInit()
            self._handle = pynvml.nvmlDeviceGetHandleByIndex(0)

    def __enter__(self) -> "Use":
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._end.wait(EVERY):
            self.seconds.append(time.monotonic() - self._began)
            if self._handle is None:
                self.busy.append(psutil.cpu_percent())
                self.used_gb.append(psutil.virtual_memory().used / GIB)
            else:
                self.busy.append(pynvml.nvmlDeviceGetUtilizationRates(self._handle).gpu)
                self.used_gb.append(pynvml.nvmlDeviceGetMemoryInfo(self._handle).used / GIB)

    def mean(self, begin: float = 0.0, end: float = float("inf")) -> float:
        """Return the mean of `busy` between two times; 0 where there is no sample."""
        # Of a sample that is being taken the second is there alone.
        chosen = [
            busy
            for second, busy in zip(self.seconds, self.busy, strict=False)
            if begin <= second <= end
        ]
        return fmean(chosen) if chosen else 0.0

    def each_second(self) -> list[int]:
        """Return the mean of each second, in percent."""
        last = int(self.seconds[-1]) if self.seconds else -1
        return [round(self.mean(second, second + 1)) for second in range(last + 1)]


def on_card_gb() -> float:
    """Return what all processes hold of the first card, in GB."""
    return float(_memory().used) / GIB


def driver_gb() -> float:
    """Return what the driver keeps of the first card for itself, in GB."""
    return float(_memory().reserved) / GIB


def _memory() -> Any:
    pynvml.nvmlInit()
    card = pynvml.nvmlDeviceGetHandleByIndex(0)
    return pynvml.nvmlDeviceGetMemoryInfo(card, version=pynvml.nvmlMemory_v2)
