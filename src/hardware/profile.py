"""The GPU profile: the one that was named, or for `gpu=auto` the one that fits this machine.

Importing this file registers resolvers for the configs:

    ${machine:KEY}        the key of the profile that fits this machine
    ${slots:ACC,N}        trials at a time on accelerator ACC with N trials a card
    ${devices:ACC}        what CUDA_VISIBLE_DEVICES is set to, a worker each; empty on a CPU
"""

import functools
from pathlib import Path
from typing import Any

import psutil
from omegaconf import DictConfig, OmegaConf

from doctune.errors import UserError
from doctune.words import counted
from src.hardware.config import AUTO
from src.hardware.detect import cards, cores, visible_devices

PROFILES = Path(__file__).parents[2] / "conf" / "gpu"
# Trials that share a CPU beyond this many gain little and need memory each.
MOST_CPU_TRIALS = 4
# Trials that share a card: no more than this, each with a core and a half of the machine's, for
# Python and for images, and with memory for torch, its libraries and a share of the images.
MOST_A_CARD = 8
CORES_A_TRIAL, GB_A_TRIAL = 1.5, 4.0
# A card reports a little less memory than it is sold with.
MEMORY_TOLERANCE = 0.9


@functools.cache
def machine_profile() -> DictConfig:
    """Return the profile of the first card: by name, else the largest that its memory holds.

    A name says nothing where the memory is less: a part of a card (MIG), one of a laptop.
    """
    profiles = [OmegaConf.load(path) for path in sorted(PROFILES.glob("*.yaml"))]
    named: dict[str, Any] = {profile.name: profile for profile in profiles}
    named.pop("auto")
    cpu = named.pop("cpu")
    if not cards():
        return DictConfig(cpu)
    card = cards()[0]
    words = card.name.lower().replace(" ", "")
    fitting = [p for p in named.values() if p.memory_gb * MEMORY_TOLERANCE <= card.memory_gb]
    for profile in fitting:
        if profile.name in words:
            return DictConfig(profile)
    smallest = min(named.values(), key=lambda profile: profile.memory_gb)
    return DictConfig(max(fitting, key=lambda profile: profile.memory_gb, default=smallest))


def check_device(gpu: DictConfig, accelerator: str) -> None:
    """Refuse a profile of a card on a machine that has none.

    Raises:
        UserError: no CUDA device, and the accelerator is not `cpu`.
    """
    if accelerator in ("cuda", "gpu") and not cards():
        raise UserError(
            f"gpu={gpu.name}: this machine has no CUDA device; use gpu=auto or gpu=cpu, "
            "or give trainer.accelerator=cpu"
        )


def check_jobs(gpu: DictConfig, accelerator: str, n_jobs: int) -> None:
    """Refuse more trials at a time than this machine's cards are shared out among.

    Raises:
        UserError: some card would have more of them than their memory is planned for.
    """
    most = slots(accelerator, gpu.trials_per_device)
    if accelerator not in ("cuda", "gpu") or n_jobs <= most:
        return
    count = max(1, len(cards()))
    each = -(-n_jobs // count)
    what = counted(count, "card")
    if gpu.trials_per_device == AUTO:
        raise UserError(
            f"optuna.n_jobs={n_jobs}: this machine has {what}, and cores and memory for {most} "
            "trials at a time; lower it, or leave it out"
        )
    raise UserError(
        f"optuna.n_jobs={n_jobs}: this machine has {what}, with gpu.trials_per_device="
        f"{gpu.trials_per_device}; give gpu.trials_per_device={each} too, so that trials share the "
        "memory, or leave optuna.n_jobs out"
    )


def differing_card(gpu: DictConfig, accelerator: str) -> str | None:
    """Return a warning where the card's memory is not that of the profile, else None."""
    if accelerator in ("cpu", "mps") or not gpu.memory_gb or not cards():
        return None
    card = cards()[0]
    if MEMORY_TOLERANCE <= card.memory_gb / gpu.memory_gb <= 1 / MEMORY_TOLERANCE:
        return None
    less = card.memory_gb < gpu.memory_gb
    what = "batches may run out of memory" if less else "larger batches would fit"
    # Without `usable_gb` all of it counts.
    keys = f"gpu.memory_gb={card.memory_gb:.0f} gpu.usable_gb=0"
    return (
        f"gpu={gpu.name} is a card of {gpu.memory_gb:g} GB, but this machine's {card.name} has "
        f"{card.memory_gb:.1f} GB: {what}; give {keys}, or the profile of the card"
    )


def slots(accelerator: str, trials_per_device: int | str) -> int:
    """Return how many trials run at a time; with `auto` the most that may."""
    if accelerator in ("cuda", "gpu"):
        count = max(1, len(cards()))
        if trials_per_device != AUTO:
            return count * int(trials_per_device)
        total = psutil.virtual_memory().total / 2**30
        return max(
            count, int(min(MOST_A_CARD * count, cores() // CORES_A_TRIAL, total / GB_A_TRIAL))
        )
    return max(1, min(MOST_CPU_TRIALS, cores()))


def devices(accelerator: str) -> list[str]:
    """Return the cards that workers are pinned to, none on a CPU."""
    return visible_devices() if accelerator in ("cuda", "gpu") else []


def card_of_a_trial(accelerator: str, none: int | None = None) -> int | None:
    """Return how many cards a scheduler is asked for; `none` on a CPU."""
    return 1 if accelerator in ("cuda", "gpu") else none


OmegaConf.register_resolver("card_of_a_trial", card_of_a_trial, replace=True)
OmegaConf.register_resolver("machine", lambda key: machine_profile()[key], replace=True)
OmegaConf.register_resolver("slots", slots, replace=True)
OmegaConf.register_resolver("devices", devices, replace=True)
