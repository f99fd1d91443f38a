"""What a worker process is given of the machine: a device, or a share of the cores."""

import contextlib
import os
from collections.abc import Sequence

# Read by OpenMP and MKL when they are first imported.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def surroundings(
    index: int, n_places: int, devices: Sequence[str]
) -> tuple[str, dict[str, str], list[int]]:
    """Return a place's name, its environment variables, and its cores where it has no device."""
    name = f"gpu {devices[index % len(devices)]}" if devices else f"cpu {index}"
    environment = {"WORKER_NAME": name}
    if devices:
        return name, {**environment, "CUDA_VISIBLE_DEVICES": devices[index % len(devices)]}, []
    cores = share_of_cores(index, n_places)
    return name, {**environment, **dict.fromkeys(THREADS, str(len(cores)))}, cores


def same_for_all(n_places: int, devices: Sequence[str]) -> dict[str, str]:
    """Return the variables that all places have alike, of those that libraries read early."""
    _, environment, _ = surroundings(0, n_places, devices)
    return {} if devices else {name: environment[name] for name in THREADS}


def pin(environment: dict[str, str], cores: list[int]) -> None:
    """Keep this process to its place."""
    os.environ.update(environment)
    if cores and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cores)


def share_of_cores(index: int, n_places: int) -> list[int]:
    """Return the cores of one place: an equal share, at least one."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    share = max(1, len(cores) // n_places)
    first = (index * share) % len(cores)
    return cores[first : first + share]
