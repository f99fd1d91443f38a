"""The images of a search are read while its models are looked at."""

import threading
from typing import Any

import pytest
from omegaconf import OmegaConf

from doctune.errors import UserError
from src.before.comparable import code_version
from src.before.reading import Reading, splits_of
from src.data.threads import map_ahead
from tests.waiting import PATIENCE

DATA: Any = OmegaConf.create({"root": "here"})
FEW, MANY = 100, 1_000_000


class Slow:
    """Stands for `load_splits`: reads images one by one, the tenth when it is told to go on."""

    def __init__(self) -> None:
        self.images = FEW
        self.read: list[int] = []
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.loads = 0

    def image(self, number: int) -> None:
        self.begun.set()
        if number == 10:
            assert self.go_on.wait(PATIENCE)
        self.read.append(number)

    def load(self, data: Any) -> Any:
        self.loads += 1
        for _ in map_ahead(self.image, range(self.images), threads=1):
            pass
        if data.root == "nowhere":
            raise UserError("data.root=nowhere: there is no such folder")
        return data.root


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    made = Slow()
    monkeypatch.setattr("src.before.reading.load_splits", made.load)
    return made


def test_images_are_read_while_other_things_are_done(slow: Slow) -> None:
    with Reading(DATA):
        assert slow.begun.wait(PATIENCE)
        # Here the models are looked at.
        assert len(slow.read) < FEW
        slow.go_on.set()
        assert splits_of(DATA) == "here"  # type: ignore[comparison-overlap]
        assert (len(slow.read), slow.loads) == (FEW, 1)


def test_the_version_of_the_code_is_found_out_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside it Python 3.11 failed now and then: both parse, the reading a header of NumPy's."""
    known = []
    monkeypatch.setattr(
        "src.before.reading.load_splits",
        lambda _: known.append(code_version.cache_info().currsize),
    )
    code_version.cache_clear()
    with Reading(DATA):
        splits_of(DATA)
    assert known == [1]


def test_whoever_leaves_early_ends_the_reading(slow: Slow) -> None:
    slow.images = MANY
    with Reading(DATA):
        assert slow.begun.wait(PATIENCE)
        slow.go_on.set()
    assert len(slow.read) < MANY


def test_what_is_wrong_with_the_images_is_told_when_they_are_asked_for(slow: Slow) -> None:
    slow.go_on.set()
    nowhere: Any = OmegaConf.create({"root": "nowhere"})
    with pytest.raises(UserError, match="no such folder"), Reading(nowhere):
        splits_of(nowhere)
    # Whoever has other images, or comes later, reads for himself.
    with Reading(DATA):
        there: Any = OmegaConf.create({"root": "there"})
        assert splits_of(there) == "there"  # type: ignore[comparison-overlap]
    assert splits_of(DATA) == "here"  # type: ignore[comparison-overlap]
