"""What replays say, as tables: rules, samplers, and the portfolio."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean

from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from tests.benchmarks.curves.ranks import Group, groups
from tests.benchmarks.curves.replay import Replay, Replayed
from tests.benchmarks.curves.rules import quiet, rules
from tests.benchmarks.curves.table import FOLDS, Key, Row

WORKERS = (1, 2, 8, 64)
# With fewer configurations a pruner has nobody to compare with, and a sampler nothing to choose.
FEWEST, FEWEST_TO_SAMPLE = 8, 40


def samplers() -> dict[str, Callable[[int], BaseSampler]]:
    """Return the samplers, made of a seed."""
    return {
        "random": lambda seed: RandomSampler(seed=seed),
        "TPE": lambda seed: TPESampler(
            seed=seed, multivariate=True, constant_liar=True, n_startup_trials=5
        ),
        "GP": lambda seed: GPSampler(seed=seed, n_startup_trials=5),
    }


def large_enough(rows: Mapping[Key, Row], fewest: int) -> dict[Group, list[Row]]:
    """Return the groups of rows that a search can be replayed on."""
    found = {group: list(members.values()) for group, members in groups(rows.values()).items()}
    return {group: members for group, members in found.items() if len(members) >= fewest}


def of_rules(rows: Mapping[Key, Row], seeds: int) -> Iterator[str]:
    """Yield a line for each length, rule and number of workers, over all groups of rows."""
    quiet()
    warnings.filterwarnings("ignore")
    draw = samplers()["random"]
    found = large_enough(rows, FEWEST)
    for epochs in sorted({group.epochs for group in found}):
        members = {group: found[group] for group in found if group.epochs == epochs}
        named = ", ".join(f"{g.model} {g.set} ({len(m)})" for g, m in members.items())
        yield f"{FOLDS} folds of {epochs} epochs, {seeds} orders of {named}:"
        trials = min(map(len, members.values()))
        for rule in rules(FOLDS, epochs, trials):
            for workers in (count for count in WORKERS if count <= trials):
                replays = [
                    Replay(each, rule, draw(seed), workers, seed).run()
                    for each in members.values()
                    for seed in range(seeds)
                ]
                yield f"  {rule.name:40} {workers:>2} at a time: {_said(replays)}"


def of_samplers(rows: Mapping[Key, Row], seeds: int) -> Iterator[str]:
    """Yield a line for each sampler and group: what the best of so many trials lacks."""
    quiet()
    warnings.filterwarnings("ignore")
    unpruned = rules(FOLDS, 1, 1)[0]
    for group, members in large_enough(rows, FEWEST_TO_SAMPLE).items():
        for name, make in samplers().items():
            replays = [
                Replay(members, unpruned, make(seed), 1, seed).run() for seed in range(seeds)
            ]
            yield f"{' '.join(map(str, group))} {name:8} {_lacking(replays, (10, 20, 30))}"


def _said(replays: Sequence[Replayed]) -> str:
    lost = [one.lost / one.best for one in replays]
    return (
        f"saves {fmean(one.saved for one in replays):4.0%} of the epochs, loses {fmean(lost):.2%} "
        f"of the best F1, {max(lost):.1%} at most, anything in "
        f"{sum(loss > 0 for loss in lost) / len(lost):4.0%} of the searches"
    )


def _lacking(replays: Sequence[Replayed], counts: Sequence[int]) -> str:
    said = []
    for count in counts:
        lacking = [one.best - one.history[count - 1][1] for one in replays]
        said.append(f"after {count} trials {fmean(lacking):.4f}")
    return "below the best: " + ", ".join(said)
