"""Processes that read PDFs, as PDFium may be entered by one thread at a time.

They are started when there turns out to be much to read, and do all that is to be done with a
page, so that no more than its result comes back.
"""

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from src.data import pdf
from src.data.formats import is_pdf
from src.hardware.detect import cores

# Seconds of reading after which other processes help; each takes a quarter of one to start.
ALONE = 0.5
# Seconds that a page takes at least.
PAGE = 0.002

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def near_file(
    path: Path,
    function: Callable[Arguments, Result],
    *args: Arguments.args,
    **keys: Arguments.kwargs,
) -> Result:
    """Call a function that reads pages of a file: in another process, where that is of use.

    Args:
        path: of the file.
        function: of a module, as its name is what is sent.
        args, keys: of the function; these and what it returns are sent, too.
    """
    helpers = _helpers
    if helpers is None or not is_pdf(path):
        return function(*args, **keys)
    return helpers.call(function, *args, **keys)


def expect(pages: int) -> None:
    """Let other processes start at once, if so many pages of PDFs that are to be read take long."""
    if _helpers is not None:
        _helpers.expect(pages)


class _Helpers:
    """The processes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Of reading, done or to come.
        self._seconds = 0.0
        self._pool: ProcessPoolExecutor | None = None
        self._started: Future[int] | None = None
        # Held by the thread that reads in this process, beside the others.
        self._here = threading.Lock()
        # A worker of a search may not start processes of its own.
        self._alone = cores() == 1 or multiprocessing.current_process().daemon

    def call(
        self,
        function: Callable[Arguments, Result],
        *args: Arguments.args,
        **keys: Arguments.kwargs,
    ) -> Result:
        """Call it here, if no other thread does, or in one of the processes."""
        pool = self._processes()
        if pool is not None and not self._here.acquire(blocking=False):
            try:
                return pool.submit(function, *args, **keys).result()
            except BrokenExecutor:
                # From a notebook none can be started, or one was killed.
                self._alone, pool = True, None
        before = time.thread_time()
        try:
            return function(*args, **keys)
        finally:
            self._seconds += time.thread_time() - before
            if pool is not None:
                self._here.release()

    def expect(self, pages: int) -> None:
        self._seconds += PAGE * pages
        self._processes()

    def _processes(self) -> ProcessPoolExecutor | None:
        """Return the processes as soon as one is there; until then the work goes on here."""
        with self._lock:
            if self._alone or self._seconds < ALONE:
                return None
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(cores() - 1, context, _begin)
                self._started = self._pool.submit(int)
            return self._pool if self._started is not None and self._started.done() else None

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Let a process take no more than the core that it is for, to its end."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, "blas")


_helpers: _Helpers | None = None


@contextmanager
def pdfs_in_processes() -> Iterator[None]:
    """Let other processes read PDFs within the block, as soon as it is worth while."""
    global _helpers
    if _helpers is not None:
        yield
        return
    _helpers = helpers = _Helpers()
    try:
        yield
    finally:
        _helpers = None
        helpers.close()
        pdf.close_files()
