"""The progress of long work on images, on the screen's error stream."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from doctune.words import clock

# A bar appears after so many seconds; shorter work shows nothing.
PATIENCE = 2.0
# Where there is no terminal to draw it in, a line is printed every so many.
INTERVAL = 10.0
# Seconds between two movements of a bar.
MOVES = 0.1

Item = TypeVar("Item")


def show_progress(
    items: Iterable[Item], what: str, total: int, console: Console | None = None
) -> Iterator[Item]:
    """Yield the items, and show how many there were: a bar in a terminal, else some lines."""
    with counting(what, total, console) as advance:
        for item in items:
            yield item
            advance(1)


@contextmanager
def counting(
    what: str, total: int, console: Console | None = None
) -> Iterator[Callable[[int], None]]:
    """Show how far work is that several threads do: they call what is given, with how many more."""
    console = console or Console(stderr=True)
    show = _bar if console.is_terminal else _lines
    lock, done, started = Lock(), 0, time.monotonic()
    with show(what, total, console) as tell:
        due = started + PATIENCE

        def advance(more: int) -> None:
            nonlocal done, due
            with lock:
                done += more
                now = time.monotonic()
                # Not for each of 100,000 images.
                if now >= due:
                    due = now + tell(done, now - started)

        yield advance


# Told how many are done after how many seconds; returns seconds to the next time.
Tell = Callable[[int, float], float]


@contextmanager
def _bar(what: str, total: int, console: Console) -> Iterator[Tell]:
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=False) as bar:
        task = bar.add_task(what, total=total, visible=False)

        def tell(done: int, _: float) -> float:
            bar.update(task, completed=done, visible=True)
            return MOVES

        yield tell


@contextmanager
def _lines(what: str, total: int, console: Console) -> Iterator[Tell]:
    def tell(done: int, seconds: float) -> float:
        if seconds < INTERVAL:
            return INTERVAL - seconds
        if done < total:
            left = clock(seconds / done * (total - done))
            told = f"{what}: {done} of {total}, {left} left"
            console.print(told, highlight=False, soft_wrap=True)
        return INTERVAL

    yield tell
