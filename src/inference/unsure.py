"""Which predictions test-time augmentation is spent on: those that it can change.

The margin of a prediction is how far its most probable class lies ahead of the next one (margin
sampling; Scheffer, Decomain & Wrobel, IDA 2001). Views of a page are only averaged where it is
small: a page that is far from every other class keeps its class whatever they say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # who reads what was spent does without torch
    from torch import Tensor

# Every page, however sure.
ALL = 1.0


def margins(probabilities: Tensor) -> Tensor:
    """Return the margin of each prediction, [B] from 0 to 1.

    Args:
        probabilities: [B, C], two classes or more.
    """
    first, second = probabilities.topk(2, dim=1).values.unbind(1)
    return first - second


def unsure(probabilities: Tensor, margin: float) -> Tensor:
    """Return which pages are given more views, bool [B]: none at a margin of 0, all at 1."""
    return margins(probabilities) < margin if margin < ALL else probabilities[:, 0] >= 0


@dataclass(frozen=True)
class Spent:
    """What test-time augmentation has cost.

    Args:
        pages: all that were predicted.
        unsure: those whose views were averaged.
        views: of each of these.
    """

    pages: int = 0
    unsure: int = 0
    views: int = 0

    @property
    def times(self) -> float:
        """Return how many times the work of a prediction without it this was."""
        return 1 + self.views * self.unsure / max(1, self.pages)

    def in_words(self) -> str:
        """Say so in a few words."""
        share = self.unsure / max(1, self.pages)
        return f"{self.views} views of {share:.0%} of the pages, {self.times:.1f} times the work"
