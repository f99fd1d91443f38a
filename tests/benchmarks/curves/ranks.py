"""How well an early value ranks configurations as their last one does.

Kendall's tau (1: the same order, 0: none, -1: the reverse), for each model and data set, and the
mean over them. What costs as much is compared: epochs of one long schedule that is broken off, and
whole short schedules.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from scipy.stats import kendalltau

from src.trial.running_score import RunningScore
from tests.benchmarks.curves.table import EPOCHS, Key, Row

# With fewer a rank correlation is noise alone.
ENOUGH = 5


class Group(NamedTuple):
    """Whose configurations are comparable."""

    model: str
    set: str
    epochs: int


def groups(rows: Iterable[Row]) -> dict[Group, dict[int, Row]]:
    """Return the rows of each model, data set and length, by the number of the configuration."""
    found: dict[Group, dict[int, Row]] = {}
    for row in sorted(rows, key=lambda row: row.key):
        key = row.key
        found.setdefault(Group(key.model, key.set, key.epochs), {})[key.number] = row
    return found


def reported(curves: Sequence[Sequence[float]]) -> list[float]:
    """Return what a trial with these curves [folds][epochs] reports, [folds * epochs]."""
    score, values = RunningScore(0.0, 1.0), []
    for curve in curves:
        values += [score.add(value) for value in curve]
        score.end_fold()
    return values


def last(row: Row) -> float:
    """Return the value of a trial, its mean over the folds."""
    return fmean(curve[-1] for curve in row.curves)


def tau(early: Mapping[int, float], late: Mapping[int, float]) -> float | None:
    """Return Kendall's tau over what both have; None where these are too few."""
    both = sorted(set(early) & set(late))
    if len(both) < ENOUGH:
        return None
    return float(kendalltau([early[n] for n in both], [late[n] for n in both]).statistic)


def of_prefixes(rows: Iterable[Row], step: int, epochs: int) -> dict[Group, float]:
    """Return tau of what is reported after `step` epochs against the last value.

    Args:
        rows: of the table.
        step: epochs that a trial has trained, over all folds.
        epochs: of a fold, in all.
    """
    found = {}
    for group, members in groups(rows).items():
        if group.epochs == epochs:
            early = {number: reported(row.curves)[step - 1] for number, row in members.items()}
            said = tau(early, {number: last(row) for number, row in members.items()})
            if said is not None:
                found[group] = said
    return found


def of_short(rows: Iterable[Row], folds: int) -> dict[Group, float]:
    """Return tau of whole short schedules, over the first `folds`, against whole long ones."""
    everything, found = groups(rows), {}
    long, short = max(EPOCHS), min(EPOCHS)
    for group, members in everything.items():
        if group.epochs == long:
            others = everything.get(group._replace(epochs=short), {})
            early = {n: fmean(c[-1] for c in row.curves[:folds]) for n, row in others.items()}
            said = tau(early, {number: last(row) for number, row in members.items()})
            if said is not None:
                found[group] = said
    return found


def lines(rows: Mapping[Key, Row]) -> Iterator[str]:
    """Yield the table: a line for each way to have a value early."""
    long, short = max(EPOCHS), min(EPOCHS)
    all_rows = list(rows.values())
    folds = len(all_rows[0].curves)
    for epochs in sorted(EPOCHS):
        total = epochs * folds
        for share in (1, 2, 3, 4, 6):
            step = total * share // 9
            yield _line(
                f"{step} of {total} epochs ({folds} folds of {epochs})",
                of_prefixes(all_rows, step, epochs),
            )
    for count in range(1, folds + 1):
        yield _line(
            f"{count * short} epochs ({count} whole folds of {short}) against folds of {long}",
            of_short(all_rows, count),
        )


def _line(name: str, found: Mapping[Group, float]) -> str:
    if not found:
        return f"{name:58} too few rows"
    each = " ".join(
        f"{g.model.removeprefix('test_')}/{g.set} {tau:+.2f}" for g, tau in found.items()
    )
    return f"{name:58} {fmean(found.values()):+.2f}  {each}"
