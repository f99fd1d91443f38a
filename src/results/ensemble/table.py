"""What `src.ensemble` shows: who was chosen, how good they are, and how to predict with them."""

from rich.console import Console
from rich.table import Table

from src.results.candidates import Candidates
from src.results.ensemble.result import EnsembleResult
from src.results.ensemble.selection import Selection


def print_candidates(candidates: Candidates, selection: Selection, console: Console) -> None:
    """Show what the selection has chosen from, and what it has chosen."""
    table = _table("trial", "score", "weight")
    for place, trial in enumerate(candidates.trials):
        weight = selection.weights.get(place)
        table.add_row(
            str(trial.number),
            f"{trial.values[0]:.4f}",
            "" if weight is None else f"{weight:.2f}",
        )
    console.print(table)
    lines = [
        f"chosen on the out-of-fold predictions of {len(candidates.labels)} images: macro-F1 "
        f"{selection.ensemble:.4f}, the best alone {selection.single:.4f}"
    ]
    if len(selection.weights) == 1:
        lines.append("No mean of several is better than the best alone there.")
    lines += [f"! left out: {reason}" for reason in candidates.left_out]
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def print_result(result: EnsembleResult, console: Console) -> None:
    """Show members and ensemble on the two splits, and the command that predicts."""
    table = _table("macro-F1", "weight", "validation", "test")
    for each in result.scores:
        cells = (each.name, each.weight, f"{each.validation:.4f}", f"{each.test:.4f}")
        table.add_row(*cells, style="" if each.weight else "bold")
    console.print()
    console.print(table)
    lines = [*result.sentences, "Predict with it:", f"  {result.command}"]
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", no_wrap=True)
    return table
