"""How many jobs share a device: one more for as long as that makes the device busier.

Jobs that share a device take turns on it (without NVIDIA's MPS), so what they get through together
grows with the share of the time in which the device is busy, and no further: a device that one job
keeps busy gets no second one, and a job that was added to no effect is not replaced when it ends.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import psutil

from doctune.launcher.workers.device_use import DeviceUse, device_use

# Percent: a device that is so busy has no room, nor has a machine whose cores are.
FULL, CORES_FULL = 90.0, 95.0
# Percentage points that one job more must add, or it was one too many.
GAIN = 4.0
# Seconds between two looks, and those that a judgement looks back on.
LOOK, WINDOW = 0.5, 8.0
# Share of a device's memory that stays free.
SPARE = 0.05


@dataclass(frozen=True)
class JobNeeds:
    """What an app knows beforehand of a job of its search, returned by its `on_start`.

    Example:

        def on_start(config, jobs):  # hydra.sweeper.on_start=my_app.on_start
            return JobNeeds(device_bytes=max(bytes_of(job) for job in jobs), start_with=2)

    Args:
        device_bytes: the most that a job takes of its device's memory.
        start_with: jobs that will likely keep a device busy.
    """

    device_bytes: float
    start_with: int = 1


class Packing:
    """Says how many jobs may run at a time, on all devices together.

    Args:
        devices: values of CUDA_VISIBLE_DEVICES that name one device each.
        most: jobs that there are places for, on all devices together.
        look: returns how busy and full a device is, None where that cannot be told.
        cores_busy: returns how busy the machine's cores have been since it was asked last, percent.
        clock: seconds.
    """

    def __init__(
        self,
        devices: Sequence[str],
        most: int,
        look: Callable[[str], DeviceUse | None] = device_use,
        cores_busy: Callable[[], float] = psutil.cpu_percent,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._devices = list(dict.fromkeys(devices))
        self._most = max(1, most // len(self._devices))
        self._look, self._cores_busy, self._clock = look, cores_busy, clock
        # Jobs a device, now; since when so many run.
        self._each = 1
        self._since: float | None = None
        # How busy devices were with one job less, while one more is on trial.
        self._before: float | None = None
        # That more would not do has been seen.
        self._settled = False
        # (second, percent of the devices, percent of the cores)
        self._seen: deque[tuple[float, float, float]] = deque()

    def expect(self, needs: JobNeeds) -> None:
        """Take what the app knows beforehand: it sets the most, and what is begun with."""
        free = [use.total - use.used for use in map(self._look, self._devices) if use is not None]
        if free and needs.device_bytes > 0:
            room = min(free) * (1 - SPARE) / needs.device_bytes
            self._most = max(1, min(self._most, int(room)))
        self._each = max(1, min(self._most, needs.start_with))

    def room(self, warm: int) -> int:
        """Return how many jobs may run at a time.

        Args:
            warm: processes that have been at work for a while.
        """
        now = self._clock()
        if not self._seen or now - self._seen[-1][0] >= LOOK:
            self._take_note(now)
        wanted = self._each * len(self._devices)
        if warm < wanted:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since >= WINDOW:
            self._judge(now)
        return self._each * len(self._devices)

    def _take_note(self, now: float) -> None:
        uses = [use for use in map(self._look, self._devices) if use is not None]
        if uses:
            self._seen.append((now, fmean(use.busy for use in uses), self._cores_busy()))
        while self._seen and self._seen[0][0] < now - WINDOW:
            self._seen.popleft()

    def _judge(self, now: float) -> None:
        if not self._seen:
            return
        busy = fmean(seen[1] for seen in self._seen)
        cores = fmean(seen[2] for seen in self._seen)
        self._since = None
        if self._before is not None and busy < self._before + GAIN:
            # The last one that came brought nothing.
            self._each, self._before, self._settled = self._each - 1, None, True
            return
        self._before = None
        if self._settled or busy >= FULL or cores >= CORES_FULL or self._each >= self._most:
            return
        self._each, self._before = self._each + 1, busy
