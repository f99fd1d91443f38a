"""Calls of a function spread over pinned processes: one a device, or a share of the cores each."""

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from pebble import ProcessPool

from doctune.launcher.workers.process import end_with
from doctune.launcher.workers.surroundings import pin, surroundings

# How often it is looked whether all processes live, in seconds.
LOOK_SECONDS = 1.0

Item = TypeVar("Item")
Result = TypeVar("Result")


def call_pinned(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    n_workers: int,
    devices: Sequence[str],
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with its result as soon as it is there, in any order.

    Processes end with the iteration, however that ends.

    Args:
        function: of a module, so that a new process can import it; what it needs of the
            environment it must import itself.
        items: can be pickled.
        n_workers: processes at a time.
        devices: values of CUDA_VISIBLE_DEVICES, dealt out in turn; empty: cores are shared out.

    Raises:
        pebble.ProcessExpired, concurrent.futures.process.BrokenProcessPool: a process died.
        Exception: whatever the function has raised.
    """
    processes = multiprocessing.get_context("spawn")
    n_workers = min(n_workers, len(items))
    pools = [
        ProcessPool(
            max_workers=1,
            initializer=_begin,
            initargs=(*surroundings(i, n_workers, devices)[1:], os.getpid()),
            context=processes,
        )
        for i in range(n_workers)
    ]
    free, waiting = list(pools), list(items)
    running: dict[Future[Result], tuple[Item, ProcessPool]] = {}
    try:
        while waiting or running:
            while waiting and free:
                item, pool = waiting.pop(0), free.pop()
                running[pool.schedule(function, args=(item,))] = item, pool
            ended, _ = wait(running, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
            for future in ended:
                item, pool = running.pop(future)
                yield item, future.result()
                free.append(pool)
            if not all(pool.active for pool in pools):
                # A pool that breaks while it takes a call may forget to tell.
                raise BrokenProcessPool("a worker died")
    finally:
        for pool in pools:
            pool.stop()  # type: ignore[no-untyped-call]
            pool.join()


def _begin(environment: dict[str, str], cores: list[int], parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pin(environment, cores)
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    gc.freeze()
