"""A pool of long-lived worker processes (pebble), one trial at a time each.

Every worker is a pool of one process: when that process dies, its own trial fails alone and
pebble starts the next process in the same place, on the same device. They are copies of one that
has imported what they need, where such copies are whole (`doctune.launcher.fork_server`).
"""

import contextlib
import faulthandler
import gc
import importlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Container, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import psutil
from hydra.core.utils import JobReturn, JobStatus
from pebble import ProcessExpired, ProcessPool

from doctune.launcher.family import (
    descendants,
    end_all,
    end_group,
    end_with_family,
    lead_own_group,
)
from doctune.launcher.fork_server import ForkServer, leave_server
from doctune.launcher.job import JobContext, is_device_error, run_beside
from doctune.launcher.preloaded import output_to
from doctune.launcher.surroundings import THREADS, pin, surroundings

log = logging.getLogger(__name__)

# How often a job that runs is looked after, in seconds.
LOOK_SECONDS = 1.0
# How often a worker looks whether the sweep still lives, in seconds.
PARENT_SECONDS = 0.2
# How long a process takes to import torch and to choose its first kernels, in seconds.
WARM_SECONDS = 30.0
# What every worker needs of ours.
OURS = ("doctune.launcher.workers",)


class WorkerPool:
    """Hands every job to a worker that is free."""

    def __init__(
        self,
        n_workers: int,
        devices: Sequence[str],
        preload: Sequence[str],
        context: JobContext,
        log_folder: str,
    ) -> None:
        _, environment, _ = surroundings(0, n_workers, devices)
        shared = {} if devices else {name: environment[name] for name in THREADS}
        self._server = ForkServer((*OURS, *preload), shared, log_of(log_folder, 0))
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

    def _take(self, number: int) -> "Place":
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


class Place:
    """A worker's place: a device or its share of the cores, and the process that is there."""

    def __init__(
        self,
        index: int,
        n_places: int,
        devices: Sequence[str],
        preload: Sequence[str],
        context: JobContext,
        log_folder: str,
        server: ForkServer,
    ) -> None:
        self.name, environment, cores = surroundings(index, n_places, devices)
        self._server = server
        # Written by whichever process is here now.
        self._pid = multiprocessing.get_context("spawn").Value("i", 0)
        self._begin_with = (
            environment,
            cores,
            list(preload),
            context,
            log_of(log_folder, index),
            os.getpid(),
            self._pid,
        )
        self._job: Future[JobReturn] | None = None
        # When its process got its first job, by the monotonic clock.
        self._began: float | None = None
        self._is_closed = False
        # Held while processes are started or ended: a closed place starts none.
        self._change = threading.Lock()
        self._made: ProcessPool | None = None

    @property
    def is_warm(self) -> bool:
        """Tell whether its process has imported what it needs, and chosen its first kernels."""
        return self._began is not None and time.monotonic() - self._began >= WARM_SECONDS

    def start(self) -> None:
        """Start the process, unless it runs.

        Raises:
            concurrent.futures.CancelledError: the place is closed.
        """
        # Asking is what starts a pool of pebble's.
        _ = self._pool.active

    @property
    def _pool(self) -> ProcessPool:
        """Return the pool of this place's process; waits until it is known how that is started.

        Raises:
            concurrent.futures.CancelledError: the place is closed.
        """
        processes = self._server.context()
        with self._change:
            if self._is_closed:
                raise CancelledError
            if self._made is None:
                self._made = ProcessPool(
                    max_workers=1,
                    initializer=_begin,
                    initargs=self._begin_with,
                    context=processes,
                )
            return self._made

    def run(self, overrides: list[str], number: int, cancelled: Container[int]) -> JobReturn:
        """Run a job in this place and wait for it, unless its number is in `cancelled`."""
        try:
            self._job = self._schedule(overrides, number)
            if number in cancelled:
                self._job.cancel()
            return self._result(self._job)
        except ProcessExpired as error:
            # What the process was killed in stays broken: half a message, a lock that it held.
            self.renew()
            end_group(error.pid or 0)
            told = how_it_ended(error.exitcode)
            raise ProcessExpired(told, error.exitcode, error.pid) from None  # type: ignore[no-untyped-call]
        except BrokenProcessPool:
            self.renew()
            raise

    def _schedule(self, overrides: list[str], number: int) -> Future[JobReturn]:
        if not self._pool.active:
            # Its process died while it had nothing to do.
            self.renew()
        try:
            job: Future[JobReturn] = self._pool.schedule(_work, args=(overrides, number))
            if self._began is None:
                self._began = time.monotonic()
        except RuntimeError as error:
            raise BrokenProcessPool("the worker died") from error
        return job

    def _result(self, job: Future[JobReturn]) -> JobReturn:
        while True:
            try:
                job.exception(timeout=LOOK_SECONDS)
            except TimeoutError:
                # A pool that breaks while it takes a job may forget to tell.
                if not self._pool.active and not job.done():
                    raise BrokenProcessPool("the worker died") from None
            else:
                return job.result()

    def cancel(self) -> None:
        """Have the worker write down where it is, and kill it; pebble starts the next one."""
        if self._pid.value and hasattr(signal, "SIGUSR1"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid.value, signal.SIGUSR1)
                # faulthandler writes from the signal handler itself, so this is plenty.
                time.sleep(0.2)
        family = self._family()
        if self._job is not None:
            self._job.cancel()
        end_all(family)

    def renew(self) -> None:
        """Replace the process: a device that failed stays unusable for the one that saw it.

        Raises:
            concurrent.futures.CancelledError: the place is closed.
        """
        with self._change:
            if self._is_closed:
                raise CancelledError
            self._end_process()

    def forbid(self) -> None:
        """Let no process be started here any more."""
        self._is_closed = True

    def close(self) -> None:
        """End the process for good."""
        self.forbid()
        with self._change:
            self._end_process()

    def _end_process(self) -> None:
        self._began = None
        family, leader = self._family(), self._pid.value
        if self._job is not None:
            self._job.cancel()
        if self._made is not None:
            self._made.stop()  # type: ignore[no-untyped-call]
            self._made.join()
            self._made = None
        end_all(family)
        end_group(leader)

    def _family(self) -> list[psutil.Process]:
        """Return what the process here has started; it would outlive it, and keep the device."""
        return descendants(self._pid.value) if self._pid.value else []


def how_it_ended(exit_code: int) -> str:
    """Say how a worker process ended, by its exit code; a negative one is a signal's number."""
    if exit_code == -signal.SIGKILL:
        return "the worker was killed, as the kernel does when the machine's memory is full"
    with contextlib.suppress(ValueError):
        return f"the worker was ended by {signal.Signals(-exit_code).name}"
    return f"the worker ended with exit code {exit_code}"


def log_of(folder: str, index: int) -> str:
    """Return the file that gets what a worker prints."""
    return str(Path(folder) / f"worker-{index}.log")


_job_parts: Any = None


def _begin(
    environment: dict[str, str],
    cores: list[int],
    preload: list[str],
    context: JobContext,
    log_file: str,
    parent: int,
    pid: Any,
) -> None:
    """Prepare a new worker process; Ctrl-C is the sweeper's business."""
    global _job_parts
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lead_own_group()
    leave_server()
    pin(environment, cores)
    output_to(log_file)
    faulthandler.enable()
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1, all_threads=True)
    # Last, as the signal would end a process that is not prepared for it.
    pid.value = os.getpid()
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    for module in preload:
        importlib.import_module(module)
    _job_parts = context.restore()
    # What was imported stays: looking through it for garbage took a fifth of a short job.
    gc.freeze()


def _work(overrides: list[str], number: int) -> JobReturn:
    hydra_context, task_function, composer = _job_parts
    return run_beside(hydra_context, task_function, composer, overrides, number)


def end_with(parent: int) -> None:
    """End this process when the one that sweeps is gone, however it went."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(parent)
        # `wait` would also wait for whoever started it to take note of its end.
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(PARENT_SECONDS)
    end_with_family()
