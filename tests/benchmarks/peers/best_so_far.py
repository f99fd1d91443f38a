"""Best so far against seconds, and when a system came near the best that any has found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

SHARES = (0.90, 0.95, 0.99)


@dataclass(frozen=True)
class Told:
    """A trial as its system told of it.

    Args:
        at: seconds from the command.
        value: macro-F1 on the pages held out, after the last epoch that it had.
        complete: that it had all of them.
        epochs: that it had.
        params: `lr`, `batch_size`, `weight_decay`, `drop_rate`.
    """

    at: float
    value: float
    complete: bool
    epochs: int
    params: dict[str, Any]


def best(trials: Sequence[Told], until: float = float("inf")) -> Told | None:
    """Return the best complete trial told of by a moment."""
    complete = [trial for trial in trials if trial.complete and trial.at <= until]
    return max(complete, key=lambda trial: trial.value, default=None)


def seconds_to(trials: Sequence[Told], level: float) -> float | None:
    """Return when a complete trial had a level, None where none had."""
    return next((trial.at for trial in trials if trial.complete and trial.value >= level), None)


def summary(values: Sequence[float | None]) -> str:
    """Return median and quartiles over seeds; what was never reached counts as for ever."""
    reached = sorted(value for value in values if value is not None)
    if 2 * len(reached) <= len(values):
        return f"- ({len(reached)} of {len(values)})"
    forever = float("inf")
    known = [*reached, *[forever] * (len(values) - len(reached))]
    if len(known) == 1:
        return _short(known[0])
    low, _, high = quantiles(known, n=4, method="inclusive")
    high_text = "never" if high != high or high == forever else _short(high)
    return f"{_short(median(known))} ({_short(low)} to {high_text})"


def table(
    found: Mapping[str, Sequence[Sequence[Told]]], tested: Mapping[str, Sequence[float]]
) -> list[str]:
    """Return the lines of a Markdown table.

    Args:
        found: system -> seed -> its trials.
        tested: system -> seed -> macro-F1 of what it chose on the test split.
    """
    seeds = max((len(runs) for runs in found.values()), default=0)
    # Of each seed, so that no system is held to what another seed allowed.
    known = [max((_top(run) for run in each), default=0.0) for each in _by_seed(found, seeds)]
    columns = [*(f"s to {share:.0%}" for share in SHARES), "best F1", "test F1", "trials", "epochs"]
    lines = [f"| | {' | '.join(columns)} |", f"|{'---|' * (len(columns) + 1)}"]
    for system, runs in found.items():
        cells = [
            summary([seconds_to(run, share * top) for run, top in zip(runs, known, strict=False)])
            for share in SHARES
        ]
        tops = [top.value if (top := best(run)) else None for run in runs]
        cells += [summary(tops), summary(tested.get(system, []))]
        cells.append(summary([float(len(run)) for run in runs]))
        cells.append(summary([float(sum(trial.epochs for trial in run)) for run in runs]))
        lines.append(f"| {system} | {' | '.join(cells)} |")
    return lines


def _by_seed(
    found: Mapping[str, Sequence[Sequence[Told]]], seeds: int
) -> list[list[Sequence[Told]]]:
    return [[runs[seed] for runs in found.values() if len(runs) > seed] for seed in range(seeds)]


def _top(run: Sequence[Told]) -> float:
    found = best(run)
    return 0.0 if found is None else found.value


def _short(value: float) -> str:
    return f"{value:.3f}" if value < 2 else f"{value:.0f}"
