"""The place of a worker: its device or its cores, and the process that is there (pebble).

It is a pool of one process, so that pebble starts the next one where one has died.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Container, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import psutil
from hydra.core.utils import JobReturn
from pebble import ProcessExpired, ProcessPool

from doctune.launcher.job.family import descendants, end_all, end_group
from doctune.launcher.job.run import JobContext
from doctune.launcher.workers.fork_server import ForkServer
from doctune.launcher.workers.process import begin, work
from doctune.launcher.workers.surroundings import surroundings

# How often a job that runs is looked after, in seconds.
LOOK_SECONDS = 1.0
# How long a process takes to import torch and to choose its first kernels, in seconds.
WARM_SECONDS = 30.0


class Place:
    """A worker's place: a device or its share of the cores, and the process that is there.

    Args:
        index: of the place.
        n_places: of the pool.
        devices: values of CUDA_VISIBLE_DEVICES, dealt out in turn; empty: cores are shared out.
        preload: modules that the process imports.
        context: of the jobs.
        log_folder: gets the worker's log.
        server: says how its processes are started.
    """

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
                    initializer=begin,
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
            job: Future[JobReturn] = self._pool.schedule(work, args=(overrides, number))
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
