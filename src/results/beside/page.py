"""The page of several studies, and what the screen shows of it."""

import datetime
import os
import re
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup
from rich.console import Console
from rich.table import Table
from rich.text import Text

from doctune.files import write_text
from doctune.words import short
from src.results.beside import plots
from src.results.beside.compare import Comparison, compare
from src.results.html import Plot, environment, packed_plotly
from src.results.stored_study import StoredStudy

# Longer file names than this are refused by some file systems.
LONGEST = 150


def show_beside(studies: Sequence[StoredStudy]) -> None:
    """Write the page of some studies beside the first one's folder, and print what it says.

    Args:
        studies: at least two.
    """
    found = compare(studies)
    name = "_and_".join(re.sub(r"[^\w.-]+", "-", side.name) for side in found.sides)
    path = studies[0].folder.parent / f"{name[:LONGEST]}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render(found, path.parent))
    _print(found, path, Console())


def render(found: Comparison, folder: Path) -> str:
    """Return the page.

    Args:
        found: what was compared.
        folder: in which the page will lie, for its links.
    """
    figures = {"progress": plots.progress(found.sides), "scores": plots.scores(found.sides)}
    mattered = plots.importances(found.sides)
    if mattered is not None:
        figures["importances"] = mattered
    drawn = {name: Plot(name, figure) for name, figure in figures.items()}
    shared = [
        Plot(f"parameter-{i}", figure)
        for i, (_, figure) in enumerate(plots.shared_parameters(found.sides), 1)
    ]
    reports = [side.stored.folder / "optuna_study_report.html" for side in found.sides]
    return (
        environment()
        .get_template("beside.html.j2")
        .render(
            found=found,
            plots=drawn,
            shared=shared,
            drawn=[*drawn.values(), *shared],
            links=[os.path.relpath(path, folder) if path.exists() else "" for path in reports],
            now=f"{datetime.datetime.now():%Y-%m-%d %H:%M}",
            short=short,
            plotly=Markup(packed_plotly()),
        )
    )


def _print(found: Comparison, path: Path, console: Console) -> None:
    names = [side.name for side in found.sides]
    console.print()
    text = Text(f"{found.headline}. ", style="bold")
    text.append(found.detail, style="not bold")
    if found.gain is not None:
        text.append(
            f" 95 % interval of the difference: {found.gain.low:+.4f} to {found.gain.high:+.4f}, "
            f"from {found.gain.pairs} folds.",
            style="not bold",
        )
    console.print(text, highlight=False, soft_wrap=True)
    console.print()
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("", *names):
        table.add_column(column, overflow="fold")
    for name, values in {**found.figures, **found.differing}.items():
        table.add_row(Text(name), *map(Text, values))
    for key, cells in found.parameters.items():
        table.add_row(Text(short(key)), *(Text(best or "not searched") for best, _ in cells))
    console.print(table)
    console.print()
    console.print(f"Beside one another: {path}", highlight=False, soft_wrap=True)
