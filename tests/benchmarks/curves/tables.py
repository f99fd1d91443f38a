"""What replays say, as tables: rules, samplers, and the portfolio."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from statistics import fmean

from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler

from tests.benchmarks.curves.front import Point, svg
from tests.benchmarks.curves.ranks import Group, groups
from tests.benchmarks.curves.replay import Replay, Replayed
from tests.benchmarks.curves.rules import (
    UNPRUNED,
    quiet,
    rules,
    rules_in_time,
    rules_of_single_split,
)
from tests.benchmarks.curves.table import FOLDS, Key, Row

WORKERS = (1, 2, 8, 64)
# Workers of the picture.
DRAWN = 2
# With fewer configurations a pruner has nobody to compare with, and a sampler nothing to choose.
FEWEST, FEWEST_TO_SAMPLE = 12, 40
# There are few of 9 epochs; each counts three times, once a fold.
FEWEST_OF_A_SPLIT = 5
# Of a search, as in `fast`.
TRIALS = 20
# Epochs of a search after which it is asked what it has found, and trials that none of the rules
# gets through by then.
BUDGETS, MORE_THAN_FIT = (45, 90, 135, 180), 70


def samplers() -> dict[str, Callable[[int], BaseSampler]]:
    """Return the samplers, made of a seed."""
    return {
        "random": lambda seed: RandomSampler(seed=seed),
        "TPE": lambda seed: TPESampler(
            seed=seed, multivariate=True, constant_liar=True, n_startup_trials=5
        ),
        "GP": lambda seed: GPSampler(seed=seed, n_startup_trials=5),
        # From the package cmaes.
        "CMA-ES": lambda seed: CmaEsSampler(seed=seed, n_startup_trials=5),
    }


def large_enough(rows: Mapping[Key, Row], fewest: int) -> dict[Group, list[Row]]:
    """Return the groups of rows that a search can be replayed on."""
    found = {group: list(members.values()) for group, members in groups(rows.values()).items()}
    return {group: members for group, members in found.items() if len(members) >= fewest}


def of_rules(
    rows: Mapping[Key, Row], seeds: int, trials: int = TRIALS, plot: Path | None = None
) -> Iterator[str]:
    """Yield a line for each data set, length, rule and number of workers, over its models.

    Args:
        rows: of the table.
        seeds: orders of the trials.
        trials: of a search; above `TRIALS` on what has so many configurations alone.
        plot: file for a picture of what two workers save and lose.
    """
    drawn: dict[str, list[Point]] = {}
    quiet()
    warnings.filterwarnings("ignore")
    draw = samplers()["random"]
    found = large_enough(rows, FEWEST if trials <= TRIALS else trials)
    for epochs, name in sorted({(group.epochs, group.set) for group in found}):
        members = {g: found[g] for g in found if (g.epochs, g.set) == (epochs, name)}
        named = ", ".join(f"{g.model} ({len(m)})" for g, m in members.items())
        yield f"{name}, {FOLDS} folds of {epochs} epochs, {seeds} orders of {named}:"
        for rule in rules(FOLDS, epochs, trials):
            for workers in WORKERS:
                replays = [
                    Replay(each, rule, draw(seed), workers, seed, trials).run()
                    for each in members.values()
                    for seed in range(seeds)
                ]
                yield f"  {rule.name:40} {workers:>2} at a time: {_said(replays)}"
                if workers == DRAWN:
                    saved = fmean(one.saved for one in replays)
                    lost = fmean(one.lost / one.best for one in replays)
                    drawn.setdefault(name, []).append(Point(rule.name, saved, lost))
    if plot is not None:
        plot.write_text(svg(drawn), encoding="utf-8")


def of_rules_in_time(rows: Mapping[Key, Row], seeds: int) -> Iterator[str]:
    """Yield a line for each data set and rule, and for all sets: what is found in so many epochs.

    Args:
        rows: of the table.
        seeds: orders of the trials.
    """
    quiet()
    warnings.filterwarnings("ignore")
    draw = samplers()["random"]
    found = large_enough(rows, MORE_THAN_FIT)
    named = ", ".join(f"{g.model} {g.set} ({len(m)})" for g, m in found.items())
    yield f"{seeds} orders of {named}, {DRAWN} at a time:"
    for rule in rules_in_time():
        lacking = {
            group: [
                lacking_after(
                    Replay(members, rule, draw(seed), DRAWN, seed, MORE_THAN_FIT).run(), budget
                )
                for seed in range(seeds)
                for budget in BUDGETS
            ]
            for group, members in found.items()
        }
        sets = {group.set: values for group, values in lacking.items()}
        for name, values in {**sets, "all": [*chain(*lacking.values())]}.items():
            said = (
                f"{budget} epochs {fmean(values[place :: len(BUDGETS)]):6.2%}"
                for place, budget in enumerate(BUDGETS)
            )
            yield f"  {rule.name:40} {name:10} the best lacks after {', '.join(said)}"


def lacking_after(replayed: Replayed, epochs: int) -> float:
    """Return by what share the best that has ended in so many epochs is below the best of all."""
    there = [value for when, value in replayed.history if when <= epochs / DRAWN]
    return 1 - there[-1] / replayed.best_of_all if there else 1.0


def of_single_split(rows: Mapping[Key, Row], seeds: int) -> Iterator[str]:
    """Yield a line for each length, data set and rule, of trials that are one of the folds alone.

    Args:
        rows: of the table.
        seeds: orders of the trials.
    """
    quiet()
    warnings.filterwarnings("ignore")
    draw = samplers()["random"]
    found = large_enough(rows, FEWEST_OF_A_SPLIT)
    for epochs, name in sorted({(group.epochs, group.set) for group in found}):
        members = {g: m for g, m in found.items() if (g.epochs, g.set) == (epochs, name)}
        named = ", ".join(f"{g.model} ({len(m)})" for g, m in members.items())
        yield f"{name}, a split of {epochs} epochs, {seeds} orders of {named}, each fold:"
        for rule in rules_of_single_split(epochs, min(map(len, members.values()))):
            replays = [
                Replay(
                    [replace(r, curves=[r.curves[fold]], test=[r.test[fold]]) for r in each],
                    rule,
                    draw(seed),
                    DRAWN,
                    seed,
                    TRIALS,
                ).run()
                for each in members.values()
                for fold in range(FOLDS)
                for seed in range(seeds)
            ]
            yield f"  {rule.name:40} {DRAWN:>2} at a time: {_said(replays)}"


def of_samplers(rows: Mapping[Key, Row], seeds: int) -> Iterator[str]:
    """Yield a line for each sampler and number of workers: what the best so far lacks, in shares.

    Over all groups that are large enough; nothing is pruned.
    """
    quiet()
    warnings.filterwarnings("ignore")
    found = large_enough(rows, FEWEST_TO_SAMPLE)
    named = ", ".join(f"{g.model} {g.set} ({len(m)})" for g, m in found.items())
    yield f"{TRIALS} trials, {seeds} seeds, of {named}:"
    for name, make in samplers().items():
        for workers in WORKERS:
            replays = [
                Replay(each, UNPRUNED, make(seed), workers, seed, TRIALS).run()
                for each in found.values()
                for seed in range(seeds)
            ]
            yield f"  {name:8} {workers:>2} at a time: {_lacking(replays)}"


def _said(replays: Sequence[Replayed]) -> str:
    lost = [one.lost / one.best for one in replays]
    return (
        f"saves {fmean(one.saved for one in replays):4.0%} of the epochs, loses {fmean(lost):.2%} "
        f"of the best F1, {max(lost):.1%} at most, more than 0.5 % in "
        f"{sum(loss > 0.005 for loss in lost) / len(lost):4.1%} of the searches"
    )


def _lacking(replays: Sequence[Replayed]) -> str:
    """Say how far the best of the first so many trials to end is below the best of the table."""
    said = []
    for count in (5, 10, TRIALS):
        lacking = [1 - one.history[count - 1][1] / one.best_of_all for one in replays]
        said.append(f"after {count} {fmean(lacking):.1%}")
    return "the best lacks " + ", ".join(said)
