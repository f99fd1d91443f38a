"""A pool of long-lived worker processes, one trial at a time each.

Every worker has a place of its own (`place.py`): when its process dies, its own trial fails alone
and the next process starts there, on the same device. They are copies of one that has imported
what they need, where such copies are whole (`fork_server.py`).
"""

import contextlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool

from hydra.core.utils import JobReturn, JobStatus

from doctune.launcher.job.run import JobContext, is_device_error
from doctune.launcher.workers.fork_server import ForkServer
from doctune.launcher.workers.place import Place, log_of
from doctune.launcher.workers.surroundings import same_for_all


class WorkerPool:
    """Hands every job to a worker that is free.

    Args:
        n_workers: processes at a time.
        devices: values of CUDA_VISIBLE_DEVICES, dealt out in turn; empty: cores are shared out.
        preload: modules that workers need.
        context: of the jobs.
        log_folder: gets a log of each worker.
    """

    def __init__(
        self,
        n_workers: int,
        devices: Sequence[str],
        preload: Sequence[str],
        context: JobContext,
        log_folder: str,
    ) -> None:
        shared = same_for_all(n_workers, devices)
        self._server = ForkServer.taken_over(preload, shared, log_of(log_folder, 0))
        self._places = [
            Place(i, n_workers, devices, preload, context, log_folder, self._server)
            for i in range(n_workers)
        ]
        # Starts the processes before there are jobs.
        self._starting: threading.Thread | None = None
        # The last is taken first.
        self._free = self._places[::-1]
        self._change = threading.Condition()
        # Job number -> the place where it runs.
        self._running: dict[int, Place] = {}
        # Job number -> when it got its place, by the monotonic clock.
        self._began: dict[int, float] = {}
        # Jobs that are to be cancelled, perhaps before they have reached a process.
        self._cancelled: set[int] = set()

    def run(self, overrides: list[str], number: int) -> JobReturn:
        """Run a job and wait for it; waits before while no worker is free.

        Raises:
            pebble.ProcessExpired: the worker died.
            concurrent.futures.process.BrokenProcessPool: it died before it had taken the job.
            concurrent.futures.CancelledError: the job was cancelled, or the pool closed.
        """
        place = self._take(number)
        self._running[number] = place
        self._began[number] = time.monotonic()
        try:
            job = place.run(overrides, number, self._cancelled)
            if job.status is JobStatus.FAILED and is_device_error(job._return_value):
                place.renew()
            return job
        finally:
            del self._running[number]
            self._cancelled.discard(number)
            with self._change:
                self._free.append(place)
                self._change.notify()

    def _take(self, number: int) -> Place:
        """Take a place on the device with the fewest jobs, of these the one that was used last.

        Raises:
            concurrent.futures.CancelledError: the job was cancelled while it waited.
        """
        with self._change:
            self._change.wait_for(lambda: self._free or number in self._cancelled)
            if not self._free:
                self._cancelled.discard(number)
                raise CancelledError
            taken = [place.name for place in self._places if place not in self._free]
            # A process that runs already has its libraries, its kernels and its memory.
            place = min(
                reversed(self._free), key=lambda each: (taken.count(each.name), not each.is_warm)
            )
            self._free.remove(place)
            return place

    def start(self) -> None:
        """Start the processes, which import what they need while nothing is to be done yet.

        Returns at once.
        """
        self._server.start()
        self._starting = threading.Thread(target=self._start_all, daemon=True)
        self._starting.start()

    def _start_all(self) -> None:
        for place in self._places:
            # What is wrong shows when there is a job.
            with contextlib.suppress(BrokenProcessPool, CancelledError):
                place.start()

    def began(self, number: int) -> float | None:
        """Return when a job got its place, by the monotonic clock; None while it waits for one."""
        return self._began.get(number)

    def warm(self) -> int:
        """Return how many processes have been at work for a while."""
        return sum(place.is_warm for place in self._places)

    def cancel(self, number: int) -> None:
        """Kill the worker of a job; another one takes its place."""
        with self._change:
            self._cancelled.add(number)
            self._change.notify_all()
        place = self._running.get(number)
        if place is not None:
            place.cancel()

    def close(self) -> None:
        """End all processes now; whoever waits for a job gets a CancelledError."""
        for place in self._places:
            place.forbid()
        self._server.forbid()
        for place in self._places:
            place.close()
        self._server.close()
