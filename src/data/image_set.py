"""Decoded images and their classes, as everything downstream takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]

# Share of a card's memory that a set of images may take; such a set is kept there.
ON_DEVICE = 0.01


@dataclass(frozen=True)
class ImageSet:
    """Images in memory or memory-mapped; a subset is a list of rows and copies nothing.

    Args:
        pixels: uint8 [M, H, W, 3], shared by all subsets.
        targets: int64 [M], class of each row of `pixels`.
        classes: names, in the order of the targets.
        rows: the rows that belong to this set, all of them by default.
        files: what each row of `pixels` is called, `scan.pdf#page=2` for instance.
        group_of: int64 [M], for each row the group of images that must stay in one fold; empty
            where every image stands for itself.
        codes: what the source calls each class, 0 or A17 for instance, where that is not its name.
        stored_as: the name of `pixels` in the cache; empty where they are not kept there.
    """

    pixels: npt.NDArray[np.uint8]
    targets: Indices
    classes: tuple[str, ...]
    rows: Indices = field(default_factory=lambda: np.empty(0, np.int64))
    files: Sequence[str] = ()
    group_of: Indices = field(default_factory=lambda: np.empty(0, np.int64))
    codes: tuple[str, ...] = ()
    stored_as: str = ""

    def __post_init__(self) -> None:
        if not len(self.rows):
            object.__setattr__(self, "rows", np.arange(len(self.pixels)))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> Indices:
        """Return the class of each image, int64 [N]."""
        return self.targets[self.rows]

    @property
    def images(self) -> npt.NDArray[np.uint8]:
        """Return a copy of the images, uint8 [N, H, W, 3]."""
        return self.pixels[self.rows]

    @property
    def names(self) -> list[str]:
        """Return what each image is called."""
        return [self.name_of(row) for row in self.rows]

    def name_of(self, row: int) -> str:
        """Return what a row of `pixels` is called, by its number where it has no file."""
        return self.files[row] if self.files else f"#{row}"

    @property
    def groups(self) -> Indices | None:
        """Return the group of each image, int64 [N], or None where there are none."""
        return self.group_of[self.rows] if len(self.group_of) else None

    def subset(self, indices: Indices) -> ImageSet:
        """Return the images at `indices` of this set."""
        if not len(indices):
            raise ValueError("a set of images cannot be empty")
        return replace(self, rows=self.rows[indices])
