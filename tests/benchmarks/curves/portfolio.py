"""Configurations that together do well on all data sets, to try first.

Chosen greedily after the defaults, which every search tries anyway: each time the one with which
the best of those chosen lacks least, on average over models, data sets and lengths (as AutoGluon's
zero-shot portfolios are, Salinas and Erickson 2023, arXiv:2311.02971). What a portfolio is worth
shows on a data set that it was not chosen on.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean

from tests.benchmarks.curves.configurations import KEYS, configuration
from tests.benchmarks.curves.ranks import Group, groups, last
from tests.benchmarks.curves.table import MODELS, Key, Row

DEFAULTS = 0
# One more has to gain so much of the best score, on average.
WORTH = 0.001
SHIPPED = Path(__file__).parents[3] / "portfolio" / "from_scratch.yaml"
HEADER = """\
# To try first, after the defaults, in a search from scratch:
#   optuna.from_study=portfolio/from_scratch.yaml
# Written by `python -m tests.benchmarks.curves portfolio`; docs/curves.md says what it is worth.
"""

Members = Mapping[int, Row]


def of_models(rows: Mapping[Key, Row]) -> dict[Group, Members]:
    """Return the groups of image models: a perceptron wants other learning rates."""
    return dict(groups(row for row in rows.values() if row.key.model in MODELS))


def lacking(members: Members, chosen: Sequence[int]) -> float | None:
    """Return the share of the best score that the best of the chosen lacks.

    None where the group has none of them.
    """
    have = [last(members[number]) for number in chosen if number in members]
    best = max(map(last, members.values()))
    return (best - max(have)) / best if have else None


def mean_lacking(found: Mapping[Group, Members], chosen: Sequence[int]) -> float:
    """Return its mean over groups."""
    return fmean(lack for each in found.values() if (lack := lacking(each, chosen)) is not None)


def choose(found: Mapping[Group, Members], most: int) -> list[int]:
    """Return numbers of configurations, the defaults first, then those that add most."""
    chosen = [DEFAULTS]
    numbers = sorted({number for members in found.values() for number in members})
    while len(chosen) < most:
        rest = [number for number in numbers if number not in chosen]
        if not rest:
            break
        added = min(rest, key=lambda number: mean_lacking(found, [*chosen, number]))
        if mean_lacking(found, chosen) - mean_lacking(found, [*chosen, added]) < WORTH:
            break
        chosen.append(added)
    return chosen


def left_out(found: Mapping[Group, Members], most: int) -> Iterator[tuple[str, list[int]]]:
    """Yield each data set, and what is chosen on the others."""
    for place in sorted({group.set for group in found}):
        others = {group: each for group, each in found.items() if group.set != place}
        yield place, choose(others, most)


def at_random(found: Mapping[Group, Members], count: int) -> float:
    """Return what the defaults and so many others lack, mean over all choices of these."""
    return fmean(
        fmean(
            (max(map(last, each.values())) - max(last(each[n]) for n in (DEFAULTS, *others)))
            / max(map(last, each.values()))
            for others in combinations([n for n in each if n != DEFAULTS], count)
        )
        for each in found.values()
        if DEFAULTS in each
    )


def lines(rows: Mapping[Key, Row], most: int = 4) -> Iterator[str]:
    """Yield the worth of portfolios on the sets left out, then the whole one."""
    found = of_models(rows)
    for place, chosen in left_out(found, most):
        there = {group: each for group, each in found.items() if group.set == place}
        yield (
            f"{place:10} left out: {chosen} lacks {mean_lacking(there, chosen):.1%} of the best; "
            f"the defaults alone {mean_lacking(there, [DEFAULTS]):.1%}, and {len(chosen) - 1} at "
            f"random {at_random(there, len(chosen) - 1):.1%}"
        )
    chosen = choose(found, most)
    yield f"of all: {chosen} lacks {mean_lacking(found, chosen):.1%}"


def text(rows: Mapping[Key, Row], most: int = 4) -> str:
    """Return the portfolio as `optuna.from_study` reads it."""
    said = [HEADER]
    for number in choose(of_models(rows), most)[1:]:
        said.append(f"- # configuration {number}\n")
        said += [
            f"  {KEYS[name]}: {value}\n" for name, value in vars(configuration(number)).items()
        ]
    return "".join(said)
