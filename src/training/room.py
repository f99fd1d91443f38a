"""The memory of a card that a training step may take, by the profile alone."""

from doctune.errors import UserError
from src.data.image_set import ON_DEVICE
from src.hardware import memory
from src.hardware.config import GpuConfig


def room(gpu: GpuConfig) -> float:
    """Return the bytes of a card that a training step may take; infinite for a CPU profile."""
    # Small sets of images lie on the card, one for training and one for validation.
    return memory.available(gpu) - 2 * ON_DEVICE * gpu.memory_gb * memory.GIB


def check_room(gpu: GpuConfig) -> None:
    """Refuse a profile that leaves a training step nothing.

    Raises:
        UserError: names the key, the value and what to do.
    """
    if room(gpu) > 0:
        return
    if memory.sharing(gpu) > 1:
        raise UserError(
            f"gpu.trials_per_device={gpu.trials_per_device}: leaves a trial no memory of the card; "
            "lower it"
        )
    raise UserError(
        f"gpu.usable_gb={gpu.usable_gb:g}: leaves a trial no memory of a card of "
        f"{gpu.memory_gb:g} GB; raise it, or give 0 for all of it"
    )
