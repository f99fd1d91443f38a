"""What `src.confirm` shows: contenders and defaults, what came out, and how to train with it."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from doctune.words import short, show
from src.results.best_trials import fits
from src.results.confirmation.judge import Confirmation, Contender
from src.results.write import ResultFiles


def print_confirmation(
    found: Confirmation, figures: Path, files: ResultFiles, console: Console
) -> None:
    """Show the comparison, its sentence, and where all of it is written.

    Args:
        found: what was compared.
        figures: the file of its figures.
        files: the study's results, which follow from it.
        console: where to.
    """
    params = {one.trial: _in_words(one) for one in found.contenders}
    table = _table(found, params)
    if fits(table, console):
        console.print(table)
    else:
        console.print(_table(found, {}))
        for trial, words in params.items():
            console.print(Text(f"trial {trial}: {words}"))
    console.print(found.sentence, style="bold", highlight=False, soft_wrap=True)
    console.print(f"Figures: {figures}\nReport: {files.report}", highlight=False, soft_wrap=True)
    if files.command is not None:
        console.print("Train with what the figures say is best:", style="bold")
        console.print(f"  {files.command}", highlight=False, soft_wrap=True)


def _in_words(one: Contender) -> str:
    return ", ".join(f"{short(key)}={show(value)}" for key, value in one.params.items())


def _table(found: Confirmation, params: Mapping[int, str]) -> Table:
    """Return a row for each contender and for the defaults; `params` by trial, or none."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("trial", "macro-F1", "gain", "95 % interval", "p"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("parameters" if params else "", no_wrap=True)
    for one in found.contenders:
        interval = f"{one.low:+.4f} to {one.high:+.4f}"
        cells = (f"{one.score:.4f}", f"{one.gain:+.4f}", interval, f"{one.p:.3f}")
        table.add_row(str(one.trial), *cells, Text(params.get(one.trial, "")))
    table.add_row(str(found.defaults_trial), f"{found.defaults_score:.4f}", "", "", "", "defaults")
    return table
