"""The progress of long work on images, on the screen's error stream."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from doctune.words import clock

# A bar appears after so many seconds; shorter work shows nothing.
PATIENCE = 2.0
# Where there is no terminal to draw it in, a line is printed every so many.
INTERVAL = 10.0

Item = TypeVar("Item")


def show_progress(
    items: Iterable[Item], what: str, total: int, console: Console | None = None
) -> Iterator[Item]:
    """Yield the items, and show how many there were: a bar in a terminal, else some lines."""
    console = console or Console(stderr=True)
    show = _bar if console.is_terminal else _lines
    return show(items, what, total, console)


def _bar(items: Iterable[Item], what: str, total: int, console: Console) -> Iterator[Item]:
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    started = time.monotonic()
    with Progress(*columns, console=console, transient=True, disable=False) as bar:
        task = bar.add_task(what, total=total, visible=False)
        for item in items:
            yield item
            bar.update(task, advance=1, visible=time.monotonic() - started > PATIENCE)


def _lines(items: Iterable[Item], what: str, total: int, console: Console) -> Iterator[Item]:
    started = time.monotonic()
    following = started + INTERVAL
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now >= following and done < total:
            following = now + INTERVAL
            left = (now - started) / done * (total - done)
            told = f"{what}: {done} of {total}, {clock(left)} left"
            console.print(told, highlight=False, soft_wrap=True)
