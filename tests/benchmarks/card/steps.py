"""Memory and time of training steps, predicted and measured, with what a calibration needs.

`tests.benchmarks.memory` has the combinations and how one is measured. Beside the table, the JSON
keeps of each row the sizes that were allocated at the peak, and the kernels by their time; of the
card, what a process takes of it before and after it has trained, and its real rates.
"""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median
from typing import Any

import torch

from src.hardware.detect import cores
from src.hardware.memory import GIB
from tests.benchmarks.card.parts import Row
from tests.benchmarks.card.use import driver_gb, on_card_gb
from tests.benchmarks.memory import COMBINATIONS, Combination, Counted, Trained, count, train

TINY = (Combination("test_efficientnet", 32, 8, "bf16-mixed"),)
# Those that the issue of a card that is counted wrong began with, but EfficientNets last: cuDNN
# takes seconds to make kernels for them.
ORDER = (*COMBINATIONS[2:8], *COMBINATIONS[:2], *COMBINATIONS[8:])
# Kernels and sizes that are kept of each row.
KEPT = 40


def rows(tiny: bool, limit: float) -> Iterator[Row]:
    """Yield a row for the card, then one for each combination."""
    if tiny:
        for each in TINY:
            yield _row(each, count(each, on_card=False), train(each))
        return
    ended = time.monotonic() + limit - 2
    # Counting takes seconds of a core each: all at once, and done by the time they are measured.
    with ProcessPoolExecutor(min(4, cores() // 3 + 1), mp_context=get_context("spawn")) as pool:
        counted = {each: pool.submit(count, each) for each in ORDER}
        yield _card()
        for each in ORDER:
            if time.monotonic() > ended:
                break
            began = time.monotonic()
            done = train(each)
            seconds = time.monotonic() - began
            found = counted[each].result()
            yield {
                **_row(each, found, done),
                "took s": seconds,
                "requested GB": done.requested / GIB,
                "images GB": done.images / GIB,
                "before GB": done.before / GIB,
                "kernels ms": sum(kernel[1] for kernel in done.kernels) / 1000,
                "held before": done.held,
                "at peak": at_peak(done.trace),
                "counted": found.parts,
                "kernels": done.kernels[:KEPT],
            }
        pool.shutdown(wait=False, cancel_futures=True)


def _card() -> Row:
    before = on_card_gb()
    torch.zeros(1, device="cuda")
    context = on_card_gb() - before - torch.cuda.memory_reserved() / GIB
    card = torch.cuda.get_device_properties(0)
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return {
        "model": f"{card.name}, {card.multi_processor_count} multiprocessors",
        "precision": f"torch {torch.__version__}, cuDNN {cudnn}",
        "context GB": context,
        "copy GB/s": _copy_rate(),
        "bf16 TFLOPS": _matrix_rate(torch.bfloat16),
        "TF32 TFLOPS": _matrix_rate(torch.float32),
        "used before": before,
        "driver GB": driver_gb(),
        "CUDA GB": card.total_memory / GIB,
    }


def _timed(work: Any) -> float:
    seconds = []
    for _ in range(8):
        torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return median(seconds[2:])


def _copy_rate() -> float:
    source = torch.rand(2**28, device="cuda")
    target = torch.empty_like(source)
    return 2 * 4 * len(source) / _timed(lambda: target.copy_(source)) / 1e9


def _matrix_rate(dtype: torch.dtype) -> float:
    torch.set_float32_matmul_precision("high")
    side = 8192
    left, right = (torch.randn(side, side, device="cuda", dtype=dtype) for _ in range(2))
    return float(2 * side**3 / _timed(lambda: left @ right) / 1e12)


def _row(each: Combination, found: Counted, done: Trained) -> Row:
    error = found.allocated / done.allocated - 1 if done.allocated else 0.0
    return {
        "model": each.model,
        "px": each.side,
        "batch": each.batch,
        "precision": each.precision,
        "predicted GB": found.allocated / GIB,
        "allocated GB": done.allocated / GIB,
        "memory error %": 100 * error,
        "reserved GB": done.reserved / GIB,
        "beside GB": done.beside / GIB,
        "predicted ms": 1000 * found.seconds,
        "step ms": 1000 * done.seconds,
        "time": found.seconds / done.seconds,
        "first s": done.first,
    }


def at_peak(trace: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the sizes that were allocated at the peak of a trace, and the largest that were not.

    What was allocated before the trace began is no part of it.
    """
    held: dict[int, int] = {}
    now = most = at = 0
    for number, event in enumerate(trace):
        size = event["size"]
        if event["action"] == "alloc":
            now += size
            if now > most:
                most, at = now, number
        elif event["action"] == "free_completed":
            now -= size
    for event in trace[: at + 1]:
        if event["action"] == "alloc":
            held[event["addr"]] = event["size"]
        elif event["action"] == "free_completed":
            held.pop(event["addr"], None)
    sizes = Counter(held.values())
    large = sorted(sizes.items(), key=lambda entry: -entry[0] * entry[1])[:KEPT]
    around = [
        [event["action"], event["size"]]
        for event in trace[max(0, at - 12) : at + 6]
        if event["action"] in ("alloc", "free_completed")
    ]
    return {
        "bytes": most,
        "blocks": len(held),
        "sizes": large,
        "largest allocations": sorted({event["size"] for event in trace}, reverse=True)[:8],
        "around": around,
    }
