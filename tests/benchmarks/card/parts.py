"""The parts of the card check, in their order, and the share of the time that each may take."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """One part: a module here with a function `rows(tiny, limit)`, which yields its rows.

    Args:
        name: of the module.
        title: what it shows.
        share: of the time, against the others' shares.
        most: seconds that it never needs more than.
    """

    name: str
    title: str
    share: float
    most: float

    def rows(self, tiny: bool, limit: float) -> Iterator[Row]:
        """Yield rows: on the CPU in seconds if `tiny`, else within `limit` seconds."""
        found: Callable[[bool, float], Iterator[Row]]
        found = import_module(f"tests.benchmarks.card.{self.name}").rows
        return found(tiny, limit)


PARTS = {
    part.name: part
    for part in (
        Part("first_steps", "seconds of the first step of a shape, and of later ones", 70, 110),
        Part("steps", "memory and time of a training step, predicted and measured", 85, 240),
        Part("searches", "a search, with so many trials a card", 165, 300),
        Part("sharing", "what several trainings on one card get through together", 55, 90),
        Part("marked_tests", "the tests that need a card", 75, 200),
        Part("ways", "images a second of four ways to train", 40, 150),
        Part("out_of_memory", "what becomes of a batch that does not fit", 40, 60),
    )
}
