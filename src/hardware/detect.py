"""What the machine has, found without importing torch."""

import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pynvml


@dataclass(frozen=True)
class Card:
    """One CUDA device, as `CUDA_VISIBLE_DEVICES` allows it to be seen: a card or a part of one."""

    name: str
    memory_gb: float
    # The value of CUDA_VISIBLE_DEVICES that names it alone.
    device: str = "0"


@functools.cache
def cards() -> tuple[Card, ...]:
    """Return the CUDA devices of this machine, none where there is no driver."""
    try:
        pynvml.nvmlInit()
        parts = tuple(_parts())
    except pynvml.NVMLError:
        return ()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(_chosen([word.strip() for word in visible.split(",")], parts))
    # Of a card that is cut up, CUDA sees no more than one of its parts (MIG) in a process.
    return tuple(
        Card(part.name, part.memory_gb, part.uuid if part.is_mig else str(part.index))
        for part in parts
        if part.is_mig or not part.is_cut
    )


@dataclass(frozen=True)
class _Part:
    """A card, or a MIG part of one, by the names that CUDA takes."""

    index: int
    uuid: str
    name: str
    memory_gb: float
    is_mig: bool = False
    # A card that is cut into parts cannot be used as a whole.
    is_cut: bool = False
    # MIG-GPU-UUID/INSTANCE/PART, which drivers before 470 gave.
    old_name: str = ""


def _parts() -> Iterator[_Part]:
    for index in range(pynvml.nvmlDeviceGetCount()):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        name, uuid = _text(pynvml.nvmlDeviceGetName(handle)), _uuid(handle)
        parts = list(_mig_parts(handle, index, name, uuid))
        yield _Part(index, uuid, name, _gigabytes(handle), is_cut=bool(parts))
        yield from parts


def _mig_parts(card: Any, index: int, name: str, uuid: str) -> Iterator[_Part]:
    try:
        is_on = pynvml.nvmlDeviceGetMigMode(card)[0] == pynvml.NVML_DEVICE_MIG_ENABLE
        count = pynvml.nvmlDeviceGetMaxMigDeviceCount(card) if is_on else 0
    except pynvml.NVMLError:  # most cards cannot be cut
        return
    for number in range(count):
        try:
            part = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(card, number)
        except pynvml.NVMLError:
            continue
        instance = pynvml.nvmlDeviceGetGpuInstanceId(part)
        old = f"MIG-{uuid}/{instance}/{pynvml.nvmlDeviceGetComputeInstanceId(part)}"
        yield _Part(index, _uuid(part), name, _gigabytes(part), is_mig=True, old_name=old)


def _chosen(words: Sequence[str], parts: Sequence[_Part]) -> Iterator[Card]:
    """Yield what a list of numbers and names chooses, as CUDA does: up to the first wrong one."""
    for word in words:
        found = [part for part in parts if _is_named(part, word)]
        if len(found) != 1:
            return
        part = found[0]
        if part.is_cut:  # its number means the first of its parts
            part = next(each for each in parts if each.is_mig and each.index == part.index)
        yield Card(part.name, part.memory_gb, word)


def _is_named(part: _Part, word: str) -> bool:
    if word.isdigit():
        return not part.is_mig and part.index == int(word)
    if part.is_mig:
        return word in (part.uuid, part.old_name)
    # The beginning of a name is enough where it names one card alone.
    return word.startswith("GPU-") and len(word) > len("GPU-") and part.uuid.startswith(word)


def _uuid(handle: Any) -> str:
    try:
        return _text(pynvml.nvmlDeviceGetUUID(handle))
    except pynvml.NVMLError:
        return ""


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _gigabytes(handle: Any) -> float:
    return float(pynvml.nvmlDeviceGetMemoryInfo(handle).total) / 2**30


def visible_devices() -> list[str]:
    """Return the values of CUDA_VISIBLE_DEVICES that name one card each."""
    return [card.device for card in cards()]


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
