"""Searches on the table in simulated time: an epoch lasts one, and workers wait for nothing.

As in a real search the defaults come first and are never ended. What a sampler proposes becomes
the nearest configuration of the table that is left, so it has to be much larger than the search.
"""

import heapq
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, CmaEsSampler
from optuna.trial import FrozenTrial, TrialState

from doctune.study.pruning_safety import LET_THROUGH, is_let_through
from tests.benchmarks.curves.configurations import (
    BATCHES,
    DROPOUTS,
    LEARNING_RATES,
    SMOOTHINGS,
    WARMUPS,
    WEIGHT_DECAYS,
)
from tests.benchmarks.curves.ranks import last, reported
from tests.benchmarks.curves.rules import Rule
from tests.benchmarks.curves.table import Row

# Number of the configuration that is the config's own.
DEFAULTS = 0
SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(*LEARNING_RATES, log=True),
    "batch_size": CategoricalDistribution(BATCHES),
    "weight_decay": FloatDistribution(*WEIGHT_DECAYS),
    "drop_rate": FloatDistribution(*DROPOUTS),
    "label_smoothing": FloatDistribution(*SMOOTHINGS),
    "warmup_epochs": CategoricalDistribution(WARMUPS),
}
CHOICES = {name: of for name, of in SPACE.items() if isinstance(of, CategoricalDistribution)}


class OnTable(BaseSampler):
    """Another sampler's proposals, each moved to the nearest configuration that is left.

    Args:
        inner: proposes; where it proposes nothing, as at its start, one is drawn.
        rows: the configurations.
        seed: of what is drawn.
    """

    def __init__(self, inner: BaseSampler, rows: Sequence[Row], seed: int) -> None:
        self._inner = inner
        self._left = list(rows)
        self._random = random.Random(seed)
        self.taken: list[Row] = []
        # CMA-ES knows numbers alone; what is chosen from a list is drawn beside it.
        numbers = {name: of for name, of in SPACE.items() if name not in CHOICES}
        self._space_of_inner = numbers if isinstance(inner, CmaEsSampler) else SPACE
        self._first = next((row for row in rows if row.key.number == DEFAULTS), None)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the space of the table."""
        return SPACE

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Take a configuration."""
        proposed = self._inner.sample_relative(study, trial, self._space_of_inner)
        if proposed:
            drawn = {n: self._random.choice(of.choices) for n, of in CHOICES.items()}
            proposed = {**drawn, **proposed}
        if self._first in self._left:
            row = self._first
        elif proposed:
            row = min(self._left, key=lambda row: _distance(row.params, proposed))
        else:
            row = self._random.choice(self._left)
        self._left.remove(row)
        self.taken.append(row)
        return {name: row.params[name] for name in SPACE}

    def sample_independent(self, *args: Any, **kwargs: Any) -> Any:
        """Never needed: all is taken together."""
        raise NotImplementedError

    def after_trial(self, *args: Any, **kwargs: Any) -> None:
        """Hand it on."""
        self._inner.after_trial(*args, **kwargs)


def _distance(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    total = 0.0
    for name, space in SPACE.items():
        if isinstance(space, CategoricalDistribution):
            places = [space.choices.index(params[name]) for params in (one, other)]
            total += ((places[0] - places[1]) / (len(space.choices) - 1)) ** 2
        elif isinstance(space, FloatDistribution):
            scale: Callable[[float], float] = np.log if space.log else float
            width = scale(space.high) - scale(space.low)
            total += ((scale(one[name]) - scale(other[name])) / width) ** 2
    return total


@dataclass
class Replayed:
    """What came of a search."""

    # Epochs that were trained, of so many without a rule.
    epochs: int
    planned: int
    # When the last trial ended.
    seconds: int
    # Value and test score of the best that was trained to the end; the best value there was.
    found: float
    test: float
    best: float
    # The best value of the whole table.
    best_of_all: float
    # (time, best value of a trial that has ended by then).
    history: list[tuple[int, float]] = field(default_factory=list)

    @property
    def saved(self) -> float:
        """Return the share of the epochs that were not trained."""
        return 1 - self.epochs / self.planned

    @property
    def lost(self) -> float:
        """Return by how much the best value is below the best there was."""
        return self.best - self.found


@dataclass
class _Running:
    trial: optuna.Trial
    row: Row
    values: list[float]
    # What the study is told: step -> value.
    told: dict[int, float]
    done: int = 0


class Replay:
    """One search.

    Args:
        rows: of one model, data set and length.
        rule: ends trials.
        inner: proposes what is tried next.
        workers: trials at a time.
        seed: of the order, where `inner` proposes nothing.
        trials: of the search; None: all rows.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        rule: Rule,
        inner: BaseSampler,
        workers: int,
        seed: int,
        trials: int | None = None,
    ) -> None:
        self._rows, self._rule, self._workers = rows, rule, workers
        self._trials = min(trials or len(rows), len(rows))
        self._epochs_of_fold = len(rows[0].curves[0])
        self._steps = sum(len(curve) for curve in rows[0].curves)
        self._sampler = OnTable(inner, rows, seed)
        self._study = optuna.create_study(
            direction="maximize", sampler=self._sampler, pruner=rule.pruner
        )
        # (when its next epoch ends, number, trial), the next first.
        self._running: list[tuple[int, int, _Running]] = []
        self._paused: list[_Running] = []
        self._ended: list[tuple[int, Row]] = []
        self._epochs = 0

    def run(self) -> Replayed:
        """Return what comes of it."""
        for _ in range(self._workers):
            self._start(0)
        while self._running:
            now, number, one = heapq.heappop(self._running)
            self._epochs += 1
            one.done += 1
            if self._goes_on(one, now):
                heapq.heappush(self._running, (now + 1, number, one))
            elif len(self._sampler.taken) < self._trials:
                self._start(now)
            elif not self._running and self._paused:
                self._resume(now)
        history, best = [], 0.0
        for when, row in self._ended:
            best = max(best, last(row))
            history.append((when, best))
        chosen = max((row for _, row in self._ended), key=last)
        return Replayed(
            epochs=self._epochs,
            planned=self._steps * self._trials,
            seconds=now,
            found=last(chosen),
            test=fmean(chosen.test),
            best=max(map(last, self._sampler.taken)),
            best_of_all=max(map(last, self._rows)),
            history=history,
        )

    def _start(self, now: int) -> None:
        if len(self._sampler.taken) == self._trials:
            return
        trial = self._study.ask(SPACE)
        row = self._sampler.taken[-1]
        one = _Running(trial, row, reported(row.curves), self._told(row))
        heapq.heappush(self._running, (now + 1, trial.number, one))

    def _goes_on(self, one: _Running, now: int) -> bool:
        step = one.done - 1
        if step in one.told:
            one.trial.report(one.told[step], step)
        if one.done == self._steps:
            self._study.tell(one.trial, last(one.row))
            self._ended.append((now, one.row))
            return False
        if one.done == self._rule.pause:
            self._paused.append(one)
            return False
        if self._ends(one, step):
            self._study.tell(one.trial, state=TrialState.PRUNED)
            return False
        return True

    def _ends(self, one: _Running, step: int) -> bool:
        is_rung = not (step + 1) % self._epochs_of_fold
        may_end = one.row.key.number != DEFAULTS and LET_THROUGH not in one.trial.user_attrs
        if step not in one.told or not may_end or (self._rule.at_rungs and not is_rung):
            return False
        if not one.trial.should_prune():
            return False
        if is_let_through(self._study.get_trials(deepcopy=False), self._rule.let_through):
            one.trial.set_user_attr(LET_THROUGH, step)
            return False
        return True

    def _resume(self, now: int) -> None:
        """Go on with the best that have paused, as many at a time as there are workers."""
        self._paused.sort(key=lambda one: one.values[one.done - 1], reverse=True)
        for place, one in enumerate(self._paused[: self._rule.go_on]):
            wait = place // self._workers * (self._steps - one.done)
            heapq.heappush(self._running, (now + wait + 1, one.trial.number, one))
        self._paused = []

    def _told(self, row: Row) -> dict[int, float]:
        if not self._rule.by_fold:
            return dict(enumerate(reported(row.curves)))
        ends = np.cumsum([len(curve) for curve in row.curves]) - 1
        return {int(end): curve[-1] for end, curve in zip(ends, row.curves, strict=True)}
