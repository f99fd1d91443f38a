"""The tables of predictions, written row by row and seen by others only when whole."""

import contextlib
import csv
import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.errors import UserError

if TYPE_CHECKING:
    from _csv import Writer

TARGETS = ("name", "id")
PROBABILITIES = ("file", "columns", "none")


class PredictionTables:
    """Writes the class of each image, and its probabilities beside it or behind it.

    Args:
        classes: the table `id_column,target_column`.
        probabilities: the second table, or None.
        names: of the classes.
        as_id: write the number of the class, not its name.
        columns: write the probabilities behind the class as well.
    """

    def __init__(
        self,
        classes: "Writer",
        probabilities: "Writer | None",
        names: Sequence[str],
        *,
        as_id: bool,
        columns: bool,
    ) -> None:
        self._classes = classes
        self._probabilities = probabilities
        self._names = names
        self._as_id = as_id
        self._columns = columns

    def add(self, image: str, best: int, shares: Sequence[float] | None) -> None:
        """Write an image.

        Args:
            image: what it is called.
            best: its class.
            shares: a probability for each class; None where the image could not be read.
        """
        shown = [""] * len(self._names) if shares is None else [f"{share:.6f}" for share in shares]
        target = best if self._as_id else self._names[best]
        self._classes.writerow([image, target, *(shown if self._columns else [])])
        if self._probabilities is not None:
            self._probabilities.writerow([image, *shown])


@contextlib.contextmanager
def open_tables(
    output: Path,
    names: Sequence[str],
    *,
    id_column: str,
    target_column: str,
    target_as: str,
    probabilities: str,
) -> Iterator[PredictionTables]:
    """Open the tables of predictions; they take their names when the block ends without error.

    Raises:
        UserError: `target_as` or `probabilities` is none of its choices.
    """
    check_choice("target_as", target_as, TARGETS)
    check_choice("probabilities", probabilities, PROBABILITIES)
    columns = list(names) if probabilities == "columns" else []
    with contextlib.ExitStack() as files:
        classes = files.enter_context(_whole_or_nothing(output))
        classes.writerow([id_column, target_column, *columns])
        second = None
        if probabilities == "file":
            second = files.enter_context(_whole_or_nothing(probabilities_path(output)))
            second.writerow([id_column, *names])
        yield PredictionTables(
            classes, second, names, as_id=target_as == "id", columns=bool(columns)
        )


def probabilities_path(output: Path) -> Path:
    """Return where the second table is."""
    return output.with_name(f"{output.stem}_probabilities{output.suffix}")


def unreadable_path(output: Path) -> Path:
    """Return where the images that could not be read are listed."""
    return output.with_name(f"{output.stem}_unreadable{output.suffix}")


def write_unreadable(output: Path, id_column: str, unreadable: Sequence[tuple[str, str]]) -> None:
    """List images with what is wrong with them; without any, an old list goes."""
    if not unreadable:
        unreadable_path(output).unlink(missing_ok=True)
        return
    with _whole_or_nothing(unreadable_path(output)) as table:
        table.writerow([id_column, "reason"])
        table.writerows(unreadable)


def check_choice(key: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a value that is not among the choices of a key.

    Raises:
        UserError: names key, value and choices.
    """
    if value not in choices:
        raise UserError(f"{key}={value}: choose {', '.join(choices)}")


@contextlib.contextmanager
def _whole_or_nothing(path: Path) -> "Iterator[Writer]":
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("x", newline="", encoding="utf-8") as file:
            yield csv.writer(file)
        os.replace(part, path)
    except OSError as error:
        raise UserError(f"output={path}: cannot be written ({error.strerror})") from error
    finally:
        part.unlink(missing_ok=True)
