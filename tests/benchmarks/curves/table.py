"""The recorded table: rows as they are appended, and as they are stored."""

import json
import lzma
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

# The default of the repository, and a transformer-like one without batch norm.
MODELS = ("test_resnet", "test_convnext")
# With ImageNet weights, which come from a package: a name of timm's, and its file in `conf/model`.
PRETRAINED = {"tf_efficientnet_lite0": "efficientnet_lite0"}
# Lengths of the schedule: as in a trial of `fast`, and three times that.
EPOCHS = (9, 3)
FOLDS = 3
# Scores are kept as whole ten-thousandths, less than what one more image changes.
SCALE = 10_000
STORED = Path(__file__).parent / "table.jsonl.xz"


class Key(NamedTuple):
    """What a row is about."""

    model: str
    set: str
    # Of the configuration.
    number: int
    # Of the whole schedule of a fold.
    epochs: int


@dataclass(frozen=True)
class Row:
    """A configuration trained on all folds of a data set."""

    key: Key
    params: dict[str, Any]
    device: str
    # Macro-F1 of what is held out, [folds][epochs].
    curves: list[list[float]]
    # Macro-F1 of the test split by the model of each fold after its last epoch, [folds].
    test: list[float]
    # That each fold took where it was recorded, [folds].
    seconds: list[float]

    def as_json(self) -> dict[str, Any]:
        """Return it for a line of JSON."""
        return {
            **self.key._asdict(),
            "params": self.params,
            "device": self.device,
            "curves": [[_short(value) for value in curve] for curve in self.curves],
            "test": [_short(value) for value in self.test],
            "seconds": [round(value, 2) for value in self.seconds],
        }

    @classmethod
    def of_json(cls, line: str) -> "Row":
        """Return a row of its line."""
        found = json.loads(line)
        key = Key(*(found[name] for name in Key._fields))
        curves = [[value / SCALE for value in curve] for curve in found["curves"]]
        test = [value / SCALE for value in found["test"]]
        return cls(key, found["params"], found["device"], curves, test, found["seconds"])


def _short(value: float) -> int:
    return round(value * SCALE)


def read(path: Path) -> Iterator[Row]:
    """Yield the rows of a file, packed or not; a line that was cut off is left out."""
    with lzma.open(path, "rt") if path.suffix == ".xz" else path.open(encoding="utf-8") as file:
        for line in file:
            try:
                yield Row.of_json(line)
            except json.JSONDecodeError:
                continue


def rows_in(*paths: Path) -> dict[Key, Row]:
    """Return the rows of files, and of the `.jsonl` files of folders; the first of a key counts."""
    found: dict[Key, Row] = {}
    for path in paths:
        for file in sorted(path.glob("*.jsonl")) if path.is_dir() else [path]:
            if file.exists():
                for row in read(file):
                    found.setdefault(row.key, row)
    return found


def keys_in(*paths: Path) -> set[Key]:
    """Return what files and folders have rows of."""
    return set(rows_in(*paths))


def pack(rows: Iterable[Row], path: Path = STORED) -> int:
    """Write rows in the order of their keys, compressed; return the bytes."""
    lines = (
        json.dumps(row.as_json(), separators=(",", ":"))
        for row in sorted(rows, key=lambda row: row.key)
    )
    path.write_bytes(lzma.compress(("\n".join(lines) + "\n").encode(), preset=9))
    return path.stat().st_size
