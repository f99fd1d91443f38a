"""What 2, 4 and 8 workers hold together, and how soon they are there:

python -m tests.benchmarks.worker_memory [WORKERS ...]

Copies of a process that has imported what a trial needs, beside workers that each import it, as
they start on macOS and Windows and did everywhere before; in turns, in one run. Memory is the sum
of all processes that the pool has started, the server among them, where what several share counts
once (PSS, from /proc): when they are ready, and when each has trained a few steps.
"""

import os
import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from hydra.core.utils import JobReturn, JobStatus

from doctune.launcher.workers import place
from doctune.launcher.workers.fork_server import ForkServer
from doctune.launcher.workers.pool import WorkerPool

WORKERS = (2, 4, 8)
PRELOAD = "src.trial.run"
MIB = 2**20


class NoHydra:
    """Stands for the picture of Hydra's state that workers get."""

    def restore(self) -> tuple[None, None, None]:
        """Return nothing: the jobs here need none."""
        return None, None, None


def train_steps(overrides: list[str], number: int) -> JobReturn:
    """Train a small model for a few steps if told to; stands for a job of a worker."""
    if overrides:
        import torch

        model = torch.nn.Sequential(torch.nn.Conv2d(3, 32, 3), torch.nn.ReLU(), torch.nn.Flatten())
        images = torch.rand(16, 3, 64, 64)
        optimizer = torch.optim.AdamW(model.parameters())
        for _ in range(3):
            model(images).square().mean().backward()
            optimizer.step()
    return JobReturn(status=JobStatus.COMPLETED, _return_value=number)


@dataclass(frozen=True)
class Held:
    """What a pool of workers takes."""

    # Until all are ready, by the clock and of processor time.
    seconds: float
    cpu: float
    # Bytes.
    ready: int
    trained: int


def measure(n_workers: int, *, copied: bool) -> Held:
    """Start a pool, let each worker train, and end it."""
    begin = ForkServer._launch
    place.work = train_steps  # type: ignore[attr-defined]
    if not copied:
        ForkServer._launch = lambda self: False  # type: ignore[method-assign]
    context: Any = NoHydra()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        pool = WorkerPool(n_workers, [], [PRELOAD], context, folder)
        try:
            pool.start()
            each_runs(pool, n_workers)
            seconds = time.perf_counter() - began
            cpu = sum(processor_time(child) for child in psutil.Process().children(recursive=True))
            ready = proportional_set_size()
            each_runs(pool, n_workers, "train")
            trained = proportional_set_size()
        finally:
            pool.close()
            ForkServer._launch = begin  # type: ignore[method-assign]
    return Held(seconds, cpu, ready, trained)


def each_runs(pool: WorkerPool, n_workers: int, *words: str) -> None:
    """Run a job in each worker."""
    with ThreadPoolExecutor(n_workers) as threads:
        list(threads.map(lambda place: place.run(list(words), 0, ()), pool._places))


def processor_time(process: psutil.Process) -> float:
    """Return the seconds of processor time that a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def proportional_set_size() -> int:
    """Return the bytes that all processes hold that this one has started."""
    total = 0
    for child in psutil.Process().children(recursive=True):
        rollup = Path(f"/proc/{child.pid}/smaps_rollup").read_text()
        found = re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)
        assert found is not None
        total += 1024 * int(found[1])
    return total


def main(*counts: int) -> None:
    """Print a line for each number of workers and way to start them."""
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}")
    print(f"{'':34}{'ready, MB':>10}{'trained':>9}{'a worker':>9}{'share':>7}{'s':>7}{'CPU s':>7}")
    for n_workers in counts or WORKERS:
        anew = None
        for name, copied in (("each imports", False), ("copies of one process", True)):
            held = measure(n_workers, copied=copied)
            a_worker = held.trained / n_workers
            anew = anew or a_worker
            print(
                f"{f'{n_workers} workers, {name}':34}{held.ready / MIB:10.0f}"
                f"{held.trained / MIB:9.0f}{a_worker / MIB:9.0f}{a_worker / anew:7.2f}"
                f"{held.seconds:7.1f}{held.cpu:7.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
