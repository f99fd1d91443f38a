"""What `src.ensemble` shows: who was chosen, how good they are, and how to predict with them."""

import shlex
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from src.results.ensemble.candidates import Candidates
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


def print_result(result: dict[str, Any], folder: Path, console: Console) -> None:
    """Show members and ensemble on the two splits, and the command that predicts."""
    weights = {member["run"]: member["weight"] for member in result["members"]}
    scores = result["macro_f1"]
    table = _table("macro-F1", "weight", "validation", "test")
    for name, found in scores["members"].items():
        weight = f"{weights[name]:.2f}" if name in weights else "not in it"
        table.add_row(name, weight, f"{found['val']:.4f}", f"{found['test']:.4f}")
    both = scores["ensemble"]
    table.add_row("ensemble", "", f"{both['val']:.4f}", f"{both['test']:.4f}", style="bold")
    console.print()
    console.print(table)
    tta = result["tta"]
    lines = [_verdict(result), *([_tta(tta)] if tta else []), "Predict with it:"]
    used = " tta=true" if tta and tta["used"] else ""
    lines.append(f"  python -m src.predict run={shlex.quote(str(folder))} data=PATH{used}")
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _verdict(result: dict[str, Any]) -> str:
    gain, trial = result["test_gain"], result["single"]["trial"]
    if len(result["members"]) == 1:
        return f"The ensemble is trial {result['members'][0]['trial']} alone."
    text = (
        f"Ensemble against trial {trial}, the best of the search: {gain['mean']:+.4f} on the "
        f"{result['test_images']} images of the test split (95 % of resamples: "
        f"{gain['low']:+.4f} to {gain['high']:+.4f})"
    )
    if gain["low"] > 0:
        return f"{text}.\nThe gain is more than chance."
    if gain["high"] < 0:
        return f"{text}.\nThe single model is better: predict with run=.../trial-{trial}."
    return f"{text}.\nThat may be chance: the test split is too small to tell them apart."


def _tta(tta: dict[str, Any]) -> str:
    """Say whether test-time augmentation is in the figures above."""
    figures = (
        f"macro-F1 on the validation split {tta['validation']:.4f} with it, "
        f"{tta['validation_without']:.4f} without"
    )
    if tta["used"]:
        return f"Test-time augmentation helps ({figures}) and is in these figures."
    return f"Test-time augmentation does not help ({figures}) and was left out."


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", no_wrap=True)
    return table
