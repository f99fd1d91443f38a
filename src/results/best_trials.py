"""The best trials as a table, in as many columns as the screen has room for."""

from collections.abc import Sequence

from optuna.trial import FrozenTrial
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from doctune.words import score, settings_of, short, show
from src.results.summary import Summary
from src.results.under_wear import clean_column, clean_score

# Wider than any table: the width that a table would like to have is asked for within it.
WIDEST = 10_000


def fits(table: Table, console: Console) -> bool:
    """Tell whether all lines of a table can be shown without being broken or cut."""
    options = console.options.update(max_width=WIDEST)
    return Measurement.get(console, options, table).maximum <= console.width


def describe_score(trial: FrozenTrial) -> str:
    """Write a trial's score, and how far its folds lie apart."""
    score = ", ".join(f"{value:.4f}" for value in trial.values or [])
    folds = trial.user_attrs.get("folds") or []
    if len(folds) < 2:
        return f"score {score}"
    return f"score {score} (folds {', '.join(f'{fold:.3f}' for fold in folds)})"


def print_best_trials(found: Summary, console: Console) -> None:
    """Print the top ten, a row a trial.

    Where not all parameters fit, those that are equal in all rows are told once below, and of
    the rest those that matter most stay.

    Args:
        found: a study with complete trials.
        console: its width decides what fits.
    """
    trials = found.top
    keys = _keys(trials)
    if fits(_table(found, trials, keys), console):
        console.print(_table(found, trials, keys))
        return
    equal = [key for key in keys if len({_cell(trial, key) for trial in trials}) == 1]
    order = {key: place for place, key in enumerate(found.importances)}
    shown = sorted(
        (key for key in keys if key not in equal), key=lambda key: order.get(key, len(order))
    )
    left_out: list[str] = []
    while shown and not fits(_table(found, trials, shown), console):
        left_out.insert(0, shown.pop())
    console.print(_table(found, trials, shown))
    if equal:
        told = ", ".join(f"{short(key)}={_cell(trials[0], key)}" for key in equal)
        console.print(Text(f"all with {told}"))
    if left_out:
        names = ", ".join(map(short, left_out))
        console.print(
            Text(f"not shown here, but in the report and in trials.csv beside it: {names}")
        )


def _keys(trials: Sequence[FrozenTrial]) -> list[str]:
    return list(dict.fromkeys(key for trial in trials for key in settings_of(trial.params)))


def _cell(trial: FrozenTrial, key: str) -> str:
    return show(settings_of(trial.params).get(key, ""))


def _table(found: Summary, trials: Sequence[FrozenTrial], keys: Sequence[str]) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("", "trial"):
        table.add_column(column, no_wrap=True)
    for column in found.objectives:
        table.add_column(column, no_wrap=True, justify="right", min_width=6)
    clean = clean_column(found)
    if clean is not None:
        table.add_column(clean, no_wrap=True, justify="right", style="dim")
    for key in keys:
        table.add_column(short(key), justify="right", no_wrap=True)
    for place, trial in enumerate(trials, 1):
        cells = [_cell(trial, key) for key in keys]
        scores = list(trial.values)
        if clean is not None:
            scores.append(clean_score(trial))
        told = ("" if value is None else score(value) for value in scores)
        table.add_row(str(place), str(trial.number), *told, *map(Text, cells))
    return table
