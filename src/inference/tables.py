"""The tables of predictions, written row by row and seen by others only when whole."""

import contextlib
import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from doctune.errors import UserError
from doctune.files import replacing

if TYPE_CHECKING:
    from _csv import Writer

TARGETS = ("auto", "name", "id")
PROBABILITIES = ("file", "columns", "none")


# Writes an image: what it is called, its class, and a probability for each class; None where it
# could not be read.
AddImage = Callable[[str, int, Sequence[float] | None], None]


@contextlib.contextmanager
def open_tables(
    output: Path,
    names: Sequence[str],
    codes: Sequence[str],
    *,
    id_column: str,
    target_column: str,
    target_as: str,
    probabilities: str,
) -> Iterator[AddImage]:
    """Open the tables of predictions; they take their names when the block ends without error.

    The class of each image is in one, its probabilities are beside it or behind it.

    Raises:
        UserError: `target_as` or `probabilities` is none of its choices.
    """
    targets = written_targets(names, codes, target_as)
    check_choice("probabilities", probabilities, PROBABILITIES)
    columns = list(names) if probabilities == "columns" else []
    beside = {"columns": (id_column, target_column), "file": (id_column,), "none": ()}
    for column in beside[probabilities]:
        if column in names:
            key = "id_column" if column == id_column else "target_column"
            raise UserError(
                f"{key}={column}: a class is called so as well, and would have a column of that "
                f"name; give {key}=NAME, or probabilities=none"
            )
    with contextlib.ExitStack() as files:
        classes = files.enter_context(_whole_or_nothing(output))
        classes.writerow([id_column, target_column, *columns])
        second = None
        if probabilities == "file":
            second = files.enter_context(_whole_or_nothing(probabilities_path(output)))
            second.writerow([id_column, *names])

        def add(image: str, best: int, shares: Sequence[float] | None) -> None:
            shown = [""] * len(targets)
            if shares is not None:
                shown = [f"{share:.6f}" for share in shares]
            classes.writerow([image, targets[best], *(shown if columns else [])])
            if second is not None:
                second.writerow([image, *shown])

        yield add


def written_targets(names: Sequence[str], codes: Sequence[str], target_as: str) -> list[str]:
    """Return what is written for each class.

    Args:
        names: of the classes.
        codes: what the data call them where that is not their name, or nothing.
        target_as: one of `TARGETS`.

    Raises:
        UserError: it is none of them.
    """
    check_choice("target_as", target_as, TARGETS)
    if target_as == "id":
        return [str(index) for index in range(len(names))]
    return list(codes if codes and target_as == "auto" else names)


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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part, part.open("x", newline="", encoding="utf-8") as file:
            yield csv.writer(file)
    except OSError as error:
        raise UserError(f"output={path}: cannot be written ({error.strerror})") from error
