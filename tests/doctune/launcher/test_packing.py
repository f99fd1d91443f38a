"""How many jobs share a device, on devices that answer as real ones do."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctune.launcher.workers.device_use import DeviceUse
from doctune.launcher.workers.packing import GAIN, JobNeeds, Packing

GIB = 2**30


@dataclass
class Card:
    """A card that jobs take turns on, each of which would use a share of its time alone."""

    share: float
    memory: int = 80 * GIB
    used: int = 0
    cores: float = 20.0
    now: float = 0.0
    jobs: int = 1
    seen: list[int] = field(default_factory=list)

    def look(self, device: str) -> DeviceUse:
        return DeviceUse(min(100.0, 100 * self.share * self.jobs), self.used, self.memory)

    def packing(self, most: int = 8, devices: tuple[str, ...] = ("0",)) -> Packing:
        return Packing(devices, most, self.look, lambda: self.cores, lambda: self.now)

    def run(self, packing: Packing, seconds: float = 400.0, warm_after: float = 30.0) -> list[int]:
        """Search for so long: places fill up at once, processes are at work after a while."""
        born: list[float] = []
        for _ in range(int(seconds / 0.2)):
            self.now += 0.2
            warm = sum(self.now - each >= warm_after for each in born)
            room = packing.room(warm)
            born += [self.now] * (room - len(born))
            self.jobs = min(room, sum(self.now - each >= warm_after for each in born) or 1)
            self.seen.append(room)
        return self.seen


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        # One that keeps it busy gets no company.
        (0.95, 1),
        (0.6, 2),
        (0.3, 4),
        (0.15, 6),
        # So little is gained by one more that it is not worth its memory.
        (0.03, 1),
    ],
)
def test_one_more_for_as_long_as_the_device_gets_busier(share: float, expected: int) -> None:
    card = Card(share)
    assert card.run(card.packing())[-1] == expected


def test_one_that_brought_nothing_is_not_replaced() -> None:
    card = Card(0.5)
    packing = card.packing()
    # Something else is the limit: the second job slows the first.
    limited: Callable[[str], DeviceUse] = lambda device: DeviceUse(50.0, 0, 80 * GIB)  # noqa: E731
    packing._look = limited
    seen = card.run(packing)
    assert max(seen) == 2
    assert seen[-1] == 1
    assert card.run(packing, 600)[-1] == 1


def test_nothing_is_judged_while_processes_start() -> None:
    card = Card(0.3)
    assert set(card.run(card.packing(), 35, warm_after=40)) == {1}


def test_memory_and_cores_are_the_limit() -> None:
    card = Card(0.1, used=30 * GIB)
    packing = card.packing()
    packing.expect(JobNeeds(15 * GIB, start_with=4))
    # 50 GB are free.
    assert set(card.run(packing)) == {3}
    card = Card(0.1, cores=98.0)
    assert set(card.run(card.packing())) == {1}


def test_it_begins_with_what_is_expected_and_knows_of_two_devices() -> None:
    card = Card(0.3)
    packing = card.packing(16, ("0", "1"))
    packing.expect(JobNeeds(10 * GIB, start_with=3))
    assert packing.room(0) == 6
    packing.expect(JobNeeds(100 * GIB, start_with=3))
    # One that does not fit runs in pieces.
    assert packing.room(0) == 2


def test_a_device_that_tells_nothing_keeps_what_was_begun_with() -> None:
    packing = Packing(("MIG-a",), 4, lambda device: None, lambda: 10.0, iter(range(10**6)).__next__)
    packing.expect(JobNeeds(GIB, start_with=2))
    assert {packing.room(4) for _ in range(200)} == {2}


@given(st.floats(0.01, 1.0), st.integers(1, 8), st.integers(1, 8))
def test_what_is_got_through_is_never_less_than_with_one(
    share: float, most: int, start: int
) -> None:
    card = Card(share)
    packing = card.packing(most)
    packing.expect(JobNeeds(GIB, start))
    last = card.run(packing, 500)[-1]
    assert 1 <= last <= most
    # As busy as with all of them, but for what one that brings nothing may take.
    reached, possible = min(1.0, share * last), min(1.0, share * most)
    assert reached >= min(0.9, possible) - GAIN / 100 * most or share < GAIN / 100
