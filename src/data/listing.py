"""What a source says about its images before any is opened."""

from dataclasses import dataclass, field
from pathlib import Path

SPLITS = ("train", "val", "test")


@dataclass
class Listing:
    """Files with their labels.

    Args:
        root: the folder that the names are relative to.
        names: of the files, with slashes; `#page=2` behind one means that page alone.
        targets: class of each file, as an index of `classes`.
        classes: their names.
        codes: what the source calls each class where that is not its name; empty elsewhere.
        splits: train, val or test for each file where the source says so; empty elsewhere.
        groups: files of a group stay together; empty where the source has none.
        notes: what a user should know, a line each.
    """

    root: Path
    names: list[str]
    targets: list[int]
    classes: tuple[str, ...]
    codes: tuple[str, ...] = ()
    splits: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
