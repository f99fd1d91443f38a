"""How often what a small search chooses is worse on the test split than the defaults.

"Overtuning" (arXiv:2506.19540): a search takes what scored best on what it was scored on. Studies
of the defaults and any other configurations of a group: all that the table holds, or so many of
them, drawn. The test score of a configuration is the mean over its folds' models.
"""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product
from statistics import fmean, stdev

from src.results.confirmation.judge import corrected_resampled_t
from tests.benchmarks.curves.ranks import groups, last
from tests.benchmarks.curves.table import Key, Row

# Of a study, with the defaults.
TRIALS = (4, 12)
DEFAULTS = 0
# Shares of the others that defaults are better than where somebody has tuned by hand.
TUNED = (0.75, 0.9)
MOST_STUDIES = 150
# With fewer a group is left out where another takes the place of the defaults.
ENOUGH = 12


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


def behind_on_no_fold(defaults: Row, others: Sequence[Row]) -> Row:
    """Choose the highest mean among those behind the defaults on no fold; else these."""
    return max(
        (defaults, *(row for row in others if min(_differences(row, defaults)) >= 0)), key=last
    )


def clearly_ahead(defaults: Row, others: Sequence[Row]) -> Row:
    """Choose the highest mean where its gain is clear of 0, as the report says it; else these."""
    best = best_mean(defaults, others)
    if best is defaults:
        return best
    gain = corrected_resampled_t(_differences(best, defaults), folds=len(best.curves))
    return best if gain is not None and gain.is_clear else defaults


RULES: dict[str, Callable[[Row, Sequence[Row]], Row]] = {
    "the highest mean (choose_by=mean)": best_mean,
    "the highest mean less a standard error": best_lower_end,
    "behind the defaults on no fold (each_fold)": behind_on_no_fold,
    "clearly ahead of the defaults, else these": clearly_ahead,
}


def _differences(row: Row, defaults: Row) -> list[float]:
    return [a - b for a, b in zip(finals(row), finals(defaults), strict=True)]


def studies(members: Mapping[int, Row], trials: int) -> Iterator[tuple[Row, Sequence[Row]]]:
    """Yield the studies of a group: the defaults, and the other trials."""
    others = [row for number, row in members.items() if number != DEFAULTS]
    if DEFAULTS not in members or len(others) < trials - 1:
        return
    if math.comb(len(others), trials - 1) <= MOST_STUDIES:
        for chosen in combinations(others, trials - 1):
            yield members[DEFAULTS], chosen
        return
    draw = random.Random(0)
    for _ in range(MOST_STUDIES):
        yield members[DEFAULTS], draw.sample(others, trials - 1)


def well_tuned(members: Mapping[int, Row], share: float) -> dict[int, Row]:
    """Return a group whose defaults are better on the test split than a share of the others.

    Whoever has tuned by hand begins there. Empty where the group is too small to say.
    """
    if len(members) < ENOUGH:
        return {}
    order = sorted(members.values(), key=lambda row: fmean(row.test))
    chosen = order.pop(int(share * (len(order) - 1)))
    return dict(enumerate([chosen, *order], DEFAULTS))


def gains(
    rows: Iterable[Row],
    rule: Callable[[Row, Sequence[Row]], Row],
    trials: int,
    tuned: float | None = None,
) -> dict[str, list[float]]:
    """Return by how much the chosen is better on the test split, for each study of a data set.

    Args:
        rows: of the table.
        rule: chooses.
        trials: of a study.
        tuned: share of the others that the defaults are better than; None: these as they are.
    """
    found: dict[str, list[float]] = {}
    for group, members in groups(rows).items():
        if tuned is not None:
            members = well_tuned(members, tuned)
        for defaults, others in studies(members, trials):
            gain = fmean(rule(defaults, others).test) - fmean(defaults.test)
            found.setdefault(group.set, []).append(gain)
    return found


def lines(rows: Mapping[Key, Row]) -> Iterator[str]:
    """Yield a line for each kind of defaults, size of a study, and rule."""
    for tuned, trials in product((None, *TUNED), TRIALS):
        what = "the defaults" if tuned is None else f"better than {tuned:.0%} of all"
        for name, rule in RULES.items():
            found = gains(rows.values(), rule, trials, tuned)
            every = [gain for each in found.values() for gain in each]
            parts = [
                f"{place}: worse in {_share_below(each):.1%} of {len(each)}, {fmean(each):+.4f}"
                for place, each in found.items()
            ]
            yield (
                f"{what}, {trials} trials, {name:45} worse in {_share_below(every):.1%} of "
                f"{len(every)} studies, at most by {max(0.0, -min(every)):.4f}, gain "
                f"{fmean(every):+.4f}  ({'; '.join(parts)})"
            )


def _share_below(gains_found: Sequence[float]) -> float:
    return sum(gain < 0 for gain in gains_found) / len(gains_found)
