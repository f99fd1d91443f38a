"""What several trainings on one card get through together, in turns and through MPS.

Each is a process that trains as fast as it can, a bare loop on random images; MPS (NVIDIA's
service that lets kernels of several processes run at the same time) is a daemon of this check's
own, in a folder of its own, which ends with it. Without it, processes take turns on the card.
"""

import contextlib
import multiprocessing
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

import torch

from tests.benchmarks.card.first_steps import Loop, own_depthwise
from tests.benchmarks.card.parts import Row
from tests.benchmarks.card.use import Use, on_card_gb

# (model, side, batch), and how many at a time
SMALL = ("tf_efficientnet_lite0", 224, 64)
LARGE = ("convnext_base", 224, 32)
TINY = ("test_efficientnet", 32, 4)
SECONDS, PATIENCE = 3.0, 45.0
CONTROL = "nvidia-cuda-mps-control"


def rows(tiny: bool, limit: float) -> Iterator[Row]:
    """Yield a row for each number of processes, first in turns, then through MPS."""
    if tiny:
        yield from _shared(TINY, (1, 2), "in turns", 0.1, on_card=False)
        return
    # Each process takes seconds to start: no more of them than tell something.
    yield from _shared(SMALL, (1, 2), "in turns", SECONDS, on_card=True)
    with _mps() as found:
        if found:
            yield from _shared(SMALL, (1, 2, 4), "MPS", SECONDS, on_card=True)
            yield from _shared(LARGE, (1, 2), "MPS", SECONDS, on_card=True)
        else:
            yield {"model": "any", "way": f"no {CONTROL} here", "processes": 0, "images/s": 0.0}
    yield from _shared(LARGE, (1, 2), "in turns", SECONDS, on_card=True)


def _shared(
    what: tuple[str, int, int], counts: Sequence[int], way: str, seconds: float, on_card: bool
) -> Iterator[Row]:
    context = multiprocessing.get_context("spawn")
    before = on_card_gb() if on_card else 0.0
    ends: list[Connection] = []
    # Without a card threads do, which have imported everything.
    start: Any = context.Process if on_card else threading.Thread
    trainers = []
    for _ in range(max(counts)):
        mine, theirs = context.Pipe()
        trainers.append(start(target=_train, args=(theirs, what, on_card), daemon=True))
        trainers[-1].start()
        if on_card:
            # Or the end of a process would not be seen.
            theirs.close()
        ends.append(mine)
    try:
        first = [_answer(end) for end in ends]
        used = on_card_gb() - before if on_card else 0.0
        for count in counts:
            with Use(on_card) as use:
                for end in ends[:count]:
                    end.send(seconds)
                steps = sum(_answer(end) for end in ends[:count])
            yield {
                "model": what[0],
                "way": way,
                "processes": count,
                "images/s": steps * what[2] / seconds,
                "busy %": use.mean(seconds / 3, seconds),
                "GB each": used / len(ends),
                "first s": max(first),
            }
    except (EOFError, TimeoutError):
        yield {"model": what[0], "way": f"{way}: a process died or hangs"}
    finally:
        for end, trainer in zip(ends, trainers, strict=True):
            if on_card:
                trainer.kill()
            else:
                end.send(0.0)
            trainer.join()


def _answer(end: Connection) -> float:
    """Wait for a process; raise TimeoutError or EOFError where none comes."""
    if not end.poll(PATIENCE):
        raise TimeoutError
    return float(end.recv())


def _train(end: Connection, what: tuple[str, int, int], on_card: bool) -> None:
    """Train for as long as is asked for, until that is 0; answer with the number of steps."""
    if on_card:
        torch.set_num_threads(1)
    name, side, batch = what
    began = time.perf_counter()
    loop: Any = Loop(name, side, torch.device("cuda" if on_card else "cpu"), own_depthwise)
    images = torch.rand(batch, 3, side, side, device=loop.device)
    for _ in range(3):
        loop.train(images)
    loop.wait()
    end.send(time.perf_counter() - began)
    while seconds := end.recv():
        until, steps = time.perf_counter() + seconds, 0
        while time.perf_counter() < until:
            loop.train(images)
            steps += 1
            if steps % 4 == 0:
                # Not further ahead of the card than a training is that reads its loss.
                loop.wait()
        loop.wait()
        end.send(steps)


@contextlib.contextmanager
def _mps() -> Iterator[bool]:
    """Start a daemon of MPS in a folder of its own; False where there is none."""
    control = shutil.which(CONTROL)
    if control is None:
        yield False
        return
    with tempfile.TemporaryDirectory() as folder:
        own = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        os.environ.update(own)
        try:
            # A pipe would stay open for as long as the daemon lives.
            with open(f"{folder}/told", "w") as told:
                started = subprocess.run([control, "-d"], stdout=told, stderr=told, timeout=10)
            yield started.returncode == 0
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run([control], input="quit\n", text=True, timeout=10)
            for key in own:
                os.environ.pop(key)
