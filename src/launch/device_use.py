"""How busy the workers' devices are, and how full, by NVML."""

from collections.abc import Iterator, Sequence

import pynvml

GIB = 2**30


def device_lines(devices: Sequence[str]) -> list[str]:
    """Return a line for each device, as `gpu 0  97 % busy, 7.1 of 9.8 GB used`.

    Args:
        devices: values of CUDA_VISIBLE_DEVICES that name one device each; a device that NVML
            cannot tell about is left out.
    """
    return [line for device in dict.fromkeys(devices) for line in _line(device)]


def _line(device: str) -> Iterator[str]:
    try:
        pynvml.nvmlInit()
        if device.isdigit():
            handle = pynvml.nvmlDeviceGetHandleByIndex(int(device))
        else:
            handle = pynvml.nvmlDeviceGetHandleByUUID(device)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        busy = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
    except pynvml.NVMLError:
        return
    used, total = memory.used / GIB, memory.total / GIB
    yield f"gpu {device}  {busy} % busy, {used:.1f} of {total:.1f} GB used"
