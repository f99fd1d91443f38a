"""How often what a small search chooses is worse on the test split than the defaults.

"Overtuning" (arXiv:2506.19540): a search takes what scored best on what it was scored on. Studies
of four, all that the table holds: the defaults and any three other configurations of a group. The
test score of a configuration is the mean over its folds' models.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from statistics import fmean, stdev

from src.results.confirmation.judge import corrected_resampled_t
from tests.benchmarks.curves.ranks import groups, last
from tests.benchmarks.curves.table import Key, Row

TRIALS = 4
DEFAULTS = 0


def finals(row: Row) -> list[float]:
    """Return the last value of each fold."""
    return [curve[-1] for curve in row.curves]


def best_mean(defaults: Row, others: Sequence[Row]) -> Row:
    """Choose the highest mean over folds, as a search does."""
    return max((defaults, *others), key=last)


def best_lower_end(defaults: Row, others: Sequence[Row]) -> Row:
    """Choose the highest mean less its standard error."""

    def lower(row: Row) -> float:
        return last(row) - stdev(finals(row)) / math.sqrt(len(row.curves))

    return max((defaults, *others), key=lower)


def ahead_on_all_folds(defaults: Row, others: Sequence[Row]) -> Row:
    """Choose the highest mean among those ahead of the defaults on each fold; else these."""
    ahead = [row for row in others if min(_differences(row, defaults)) > 0]
    return max((defaults, *ahead), key=last)


def clearly_ahead(defaults: Row, others: Sequence[Row]) -> Row:
    """Choose the highest mean where its gain is clear of 0, as the report says it; else these."""
    best = best_mean(defaults, others)
    if best is defaults:
        return best
    gain = corrected_resampled_t(_differences(best, defaults), folds=len(best.curves))
    return best if gain is not None and gain.is_clear else defaults


RULES: dict[str, Callable[[Row, Sequence[Row]], Row]] = {
    "the highest mean (as it is)": best_mean,
    "the highest mean less a standard error": best_lower_end,
    "ahead of the defaults on each fold, else these": ahead_on_all_folds,
    "clearly ahead of the defaults, else these": clearly_ahead,
}


def _differences(row: Row, defaults: Row) -> list[float]:
    return [a - b for a, b in zip(finals(row), finals(defaults), strict=True)]


def studies(members: Mapping[int, Row]) -> Iterator[tuple[Row, tuple[Row, ...]]]:
    """Yield every study of a group: the defaults, and the other trials."""
    if DEFAULTS in members:
        others = [row for number, row in members.items() if number != DEFAULTS]
        for chosen in combinations(others, TRIALS - 1):
            yield members[DEFAULTS], chosen


def gains(rows: Iterable[Row], rule: Callable[[Row, Sequence[Row]], Row]) -> dict[str, list[float]]:
    """Return by how much the chosen is better on the test split, for each study of a data set."""
    found: dict[str, list[float]] = {}
    for group, members in groups(rows).items():
        for defaults, others in studies(members):
            gain = fmean(rule(defaults, others).test) - fmean(defaults.test)
            found.setdefault(group.set, []).append(gain)
    return found


def lines(rows: Mapping[Key, Row]) -> Iterator[str]:
    """Yield a line for each rule."""
    for name, rule in RULES.items():
        found = gains(rows.values(), rule)
        every = [gain for each in found.values() for gain in each]
        parts = [
            f"{place}: worse in {_share_below(each):.1%} of {len(each)}, {fmean(each):+.4f}"
            for place, each in found.items()
        ]
        lost = min(every)
        yield (
            f"{name:47} worse in {_share_below(every):.1%} of {len(every)} studies, at most by "
            f"{max(0.0, -lost):.4f}, gain {fmean(every):+.4f}  ({'; '.join(parts)})"
        )


def _share_below(gains_found: Sequence[float]) -> float:
    return sum(gain < 0 for gain in gains_found) / len(gains_found)
