"""The cards that `CUDA_VISIBLE_DEVICES` leaves of a machine, by number, name and part (MIG)."""

from collections.abc import Iterator

import pynvml
import pytest

from src.hardware.detect import Card, cards, visible_devices

GIB = 2**30
WHOLE = ("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "GPU-89b1c2d3-0000-4106-c12f-20bd9faed9f7")
PARTS = ("MIG-41b35333-aaaa-5f91-bbbb-ca8d2f0a0001", "MIG-41b35333-aaaa-5f91-bbbb-ca8d2f0a0002")


class Machine:
    """Stands in for NVML: an RTX 4090, and an A100 that may be cut into two parts."""

    def __init__(self, cut: bool) -> None:
        self.cut = cut

    def part(self, number: int) -> str:
        if number > 1:
            # An empty place, as NVML tells of it.
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return PARTS[number]

    def mode(self, handle: str) -> list[int]:
        if handle == WHOLE[0]:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return [int(self.cut)] * 2


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    found = Machine(cut=False)
    memory = {WHOLE[0]: 24, WHOLE[1]: 40, PARTS[0]: 20, PARTS[1]: 10}
    for name, answer in {
        "Init": lambda: None,
        "DeviceGetCount": lambda: 2,
        "DeviceGetHandleByIndex": lambda index: WHOLE[index],
        "DeviceGetUUID": lambda handle: handle,
        "DeviceGetName": lambda handle: "RTX 4090" if handle == WHOLE[0] else "A100",
        "DeviceGetMemoryInfo": lambda h: type("Memory", (), {"total": memory[h] * GIB}),
        "DeviceGetMigMode": found.mode,
        "DeviceGetMaxMigDeviceCount": lambda handle: 7,
        "DeviceGetMigDeviceHandleByIndex": lambda handle, number: found.part(number),
        "DeviceGetGpuInstanceId": lambda part: PARTS.index(part) + 1,
        "DeviceGetComputeInstanceId": lambda part: 0,
    }.items():
        monkeypatch.setattr(pynvml, f"nvml{name}", answer)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    cards.cache_clear()
    yield found
    cards.cache_clear()


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, [("0", 24), ("1", 40)]),
        ("1", [("1", 40)]),
        ("1, 0", [("1", 40), ("0", 24)]),
        (WHOLE[1], [(WHOLE[1], 40)]),
        # As much of a name as no other card has.
        ("GPU-8932", [("GPU-8932", 24)]),
        ("GPU-89b1,0", [("GPU-89b1", 40), ("0", 24)]),
        ("GPU-89", []),
        ("GPU-", []),
        # CUDA looks no further than the first that is wrong.
        ("0,7,1", [("0", 24)]),
        ("-1", []),
        ("", []),
        ("NoDevFiles", []),
    ],
)
def test_numbers_and_names_are_those_of_cuda(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    visible: str | None,
    expected: list[tuple[str, int]],
) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [(card.device, card.memory_gb) for card in cards()] == expected
    # What workers are pinned to.
    assert visible_devices() == [device for device, _ in expected]


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, [("0", 24), (PARTS[0], 20), (PARTS[1], 10)]),
        (f"{PARTS[1]},{PARTS[0]}", [(PARTS[1], 10), (PARTS[0], 20)]),
        # Of a card that is cut CUDA takes the first part.
        ("1", [("1", 20)]),
        # As drivers before 470 called them.
        (f"MIG-{WHOLE[1]}/2/0", [(f"MIG-{WHOLE[1]}/2/0", 10)]),
        ("MIG-41b35333", []),
    ],
)
def test_parts_of_a_card_are_cards(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    visible: str | None,
    expected: list[tuple[str, int]],
) -> None:
    machine.cut = True
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [(card.device, card.memory_gb) for card in cards()] == expected


def test_a_machine_without_a_driver_has_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", no_driver)
    cards.cache_clear()
    assert cards() == ()
    cards.cache_clear()
    assert Card("a", 8).device == "0"
