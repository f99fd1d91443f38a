"""How busy the workers' devices are, and how full, by NVML."""

from collections.abc import Sequence
from dataclasses import dataclass

import pynvml

GIB = 2**30


@dataclass(frozen=True)
class DeviceUse:
    """A device at a moment."""

    # Percent of the time in which it computed something, lately.
    busy: float
    # Bytes, of all programs.
    used: int
    total: int


def device_lines(devices: Sequence[str]) -> list[str]:
    """Return a line for each device, as `gpu 0  97 % busy, 7.1 of 9.8 GB used`.

    Args:
        devices: values of CUDA_VISIBLE_DEVICES that name one device each; a device that NVML
            cannot tell about is left out.
    """
    uses = [(device, device_use(device)) for device in dict.fromkeys(devices)]
    return [
        f"gpu {device}  {use.busy:.0f} % busy, "
        f"{use.used / GIB:.1f} of {use.total / GIB:.1f} GB used"
        for device, use in uses
        if use is not None
    ]


def device_use(device: str) -> DeviceUse | None:
    """Return how busy and full a device is; None where NVML cannot tell, as for a part (MIG)."""
    try:
        pynvml.nvmlInit()
        if device.isdigit():
            handle = pynvml.nvmlDeviceGetHandleByIndex(int(device))
        else:
            handle = pynvml.nvmlDeviceGetHandleByUUID(device)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        busy = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
    except pynvml.NVMLError:
        return None
    return DeviceUse(float(busy), int(memory.used), int(memory.total))
