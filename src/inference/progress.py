"""How far a prediction is: a bar in a terminal, a line now and then in a log."""

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from src.data.formats import PAGED, SUFFIXES
from src.inference.config import ImagesConfig, source_path

# Seconds between two lines in a log.
EVERY = 30.0


class ImageCount:
    """Counts images on the screen, with the time left where their number is known."""

    def __init__(self, total: int | None, console: Console) -> None:
        self._total = total
        self._console = console
        self._done = 0
        self._told = time.monotonic()
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("images"), TimeRemainingColumn())
        self._bar = Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
        )
        self._task = self._bar.add_task("", total=total)

    def advance(self, images: int) -> None:
        """Count images that are done."""
        self._done += images
        self._bar.advance(self._task, images)
        if not self._console.is_terminal and time.monotonic() - self._told > EVERY:
            self._told = time.monotonic()
            total = "" if self._total is None else f" of {self._total:,}"
            self._console.print(f"{self._done:,}{total} images", highlight=False)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._bar.stop()


def count_images(data: ImagesConfig) -> int | None:
    """Count the images without opening any; None where files of several pages are among them."""
    path = source_path(data)
    if path.is_file() and path.suffix.lower() == ".csv":
        with path.open("rb") as file:
            return max(0, sum(1 for line in file if line.strip()) - 1)
    if path.is_file():
        return None if path.suffix.lower() in PAGED else 1
    suffixes = [Path(name).suffix.lower() for _, _, names in os.walk(path) for name in names]
    if any(suffix in PAGED for suffix in suffixes):
        return None
    return sum(suffix in SUFFIXES for suffix in suffixes)
