"""How much each parameter mattered: over all trials, and among those that searched the same.

A random forest learns the score from the parameters; what its splits on a parameter take away of
the variance is that parameter's share (Breiman, Machine Learning 45, 2001). Two things make it
fit for a search. The worst quarter of the scores is raised to the best of that quarter, and what
the pruner has ended to at least the worst score of a complete trial: what makes a good trial
counts, not what breaks one. And what each model has a range of its own for is taken at its place
in that range, so that it can be weighed against the choice of the model.

`tests/benchmarks/importances.py` compares this with PED-ANOVA, which asks how the best tenth
differs from all: with fewer than 50 trials that is too often noise, and where a sampler has
settled on one model, it gives the model nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial
from sklearn.ensemble import RandomForestRegressor

from doctune.study.study import AS_IN_CONFIG
from doctune.words import key_of

# With fewer trials, importances are too often noise: the one parameter that decides comes first in
# 9 of 10 searches of so many, in 13 of 20 of eight trials (tests/benchmarks/importances.py).
ENOUGH_FOR_IMPORTANCES = 12
# Of the trials, the worst so many share one score.
WORST = 0.25
# More trials change nothing that can be seen, and take seconds.
MOST_TRIALS = 1000
TREES = 64


@dataclass(frozen=True)
class Group:
    """Trials that searched the same parameters, as those of one model do."""

    # `convnext_tiny` for parameters called `optimizer.lr[convnext_tiny]`; empty where all trials
    # searched the same.
    name: str
    # Complete ones, the best first.
    trials: list[FrozenTrial]
    # Parameter -> its share; empty where there are too few trials to say.
    importances: dict[str, float]


class Importances:
    """The importances of a study.

    Args:
        ranked: complete trials, the best first.
        pruned: trials that the pruner has ended.
        maximize: whether higher scores are better.
    """

    def __init__(
        self, ranked: Sequence[FrozenTrial], pruned: Sequence[FrozenTrial], maximize: bool
    ) -> None:
        self._ranked = [t for t in ranked if math.isfinite(t.values[0])]
        self._pruned = [t for t in pruned if t.params]
        self._sign = -1 if maximize else 1

    def of_all(self) -> dict[str, float]:
        """Return config key -> share, for the keys that every trial has searched.

        The trial of the config as it is, where not all of its values are choices, has not searched
        these and is left out, or nothing would be said of them. The largest first; empty below
        `ENOUGH_FOR_IMPORTANCES` trials, or where scores do not differ.
        """
        searched, ended = (
            [trial for trial in trials if not trial.user_attrs.get(AS_IN_CONFIG)]
            for trials in (self._ranked, self._pruned)
        )
        return self._shares(searched, ended)

    def groups(self) -> list[Group]:
        """Return the trials by what they searched, the group with the best trial first."""
        by_names: dict[frozenset[str], list[FrozenTrial]] = {}
        for trial in self._ranked:
            by_names.setdefault(frozenset(trial.params), []).append(trial)
        called = _called(list(by_names))
        found = []
        for names, trials in by_names.items():
            pruned = [t for t in self._pruned if t.params.keys() == names]
            # Inside a group no two parameters set the same key.
            by_key = {key_of(name): name for name in names}
            shares = {by_key[key]: s for key, s in self._shares(trials, pruned).items()}
            found.append(Group(called[names], trials, shares))
        return found

    def _shares(
        self, ranked: Sequence[FrozenTrial], pruned: Sequence[FrozenTrial]
    ) -> dict[str, float]:
        every = -(-(len(ranked) + len(pruned)) // MOST_TRIALS) or 1
        ranked, pruned = ranked[::every], pruned[::every]
        trials = [*ranked, *pruned]
        if len(trials) < ENOUGH_FOR_IMPORTANCES or len({t.values[0] for t in ranked}) < 2:
            return {}
        losses = self._losses(ranked, pruned)
        columns = _columns(trials)
        if len(set(losses)) < 2 or not columns:
            return {}
        forest = RandomForestRegressor(TREES, random_state=0)
        forest.fit(np.hstack(list(columns.values())), losses)
        whose = [key for key, column in columns.items() for _ in range(column.shape[1])]
        shares = dict.fromkeys(columns, 0.0)
        for key, share in zip(whose, forest.feature_importances_, strict=True):
            shares[key] += float(share)
        return dict(sorted(shares.items(), key=lambda item: -item[1]))

    def _losses(self, ranked: Sequence[FrozenTrial], pruned: Sequence[FrozenTrial]) -> list[float]:
        """Return a number a trial, lower is better, the worst ones alike."""
        complete = [self._sign * trial.values[0] for trial in ranked]
        last = [
            self._sign * trial.intermediate_values[max(trial.intermediate_values)]
            if trial.intermediate_values
            else math.inf
            for trial in pruned
        ]
        losses = [*complete, *(math.inf if math.isnan(loss) else loss for loss in last)]
        cut = sorted(losses)[math.ceil((1 - WORST) * len(losses)) - 1]
        cut = min(cut, max(complete))
        if cut == min(losses):
            # Three quarters are equally good; the rest differs.
            cut = max(complete)
        return [min(loss, cut) for loss in losses]


def _columns(trials: Sequence[FrozenTrial]) -> dict[str, npt.NDArray[np.float64]]:
    """Return config key -> what the forest sees of it, [trials, n], for keys that all trials have.

    A range is one column; choices are a column each, with 1 where one was made. Keys that are the
    same in all trials are left out.
    """
    found: dict[str, npt.NDArray[np.float64]] = {}
    by_key = [{key_of(name): name for name in trial.params} for trial in trials]
    for key in by_key[0]:
        if not all(key in names for names in by_key):
            continue
        ranges = [t.distributions[names[key]] for t, names in zip(trials, by_key, strict=True)]
        values = [trial.params[names[key]] for trial, names in zip(trials, by_key, strict=True)]
        if len(set(map(repr, values))) == 1:
            continue
        if all(isinstance(dist, CategoricalDistribution) for dist in ranges):
            choices = list(dict.fromkeys(map(repr, values)))
            found[key] = np.array(
                [[repr(v) == choice for choice in choices] for v in values], float
            )
            continue
        places = [place(dist, value) for dist, value in zip(ranges, values, strict=True)]
        found[key] = np.array(places)[:, None]
    return found


def place(distribution: BaseDistribution, value: Any) -> float:
    """Return where a value lies in its range, from 0 to 1, on the range's own scale."""
    if isinstance(distribution, CategoricalDistribution):
        last = len(distribution.choices) - 1
        return distribution.choices.index(value) / last if last else 0.5
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    low, high = distribution.low, distribution.high
    if low == high:
        return 0.5
    if distribution.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return float(min(1.0, max(0.0, (value - low) / (high - low))))


def _called(groups: Sequence[frozenset[str]]) -> Mapping[frozenset[str], str]:
    """Return what to call each group: what stands in brackets, else what it has and lacks."""
    if len(groups) < 2:
        return dict.fromkeys(groups, "")
    shared, everything = frozenset.intersection(*groups), frozenset.union(*groups)
    called = {}
    for names in groups:
        labels = sorted({name[len(key_of(name)) + 1 : -1] for name in names if "[" in name})
        own = ", ".join(sorted(names - shared))
        without = ", ".join(sorted(everything - names))
        called[names] = ", ".join(labels) or (f"with {own}" if own else f"without {without}")
    return called
