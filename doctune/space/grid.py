"""First along a coarse grid, then at random: for searches so large that no model steers them.

Optuna's own sampler of a grid is laid over a search space here too.
"""

import functools
import itertools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial

from doctune.errors import UserError
from doctune.space.parameters import describe
from doctune.space.search_space import SearchSpace
from doctune.words import key_of

POINT = "grid_then_random:point"
# Along a range for which no number is given.
DEFAULT_POINTS = 5


class GridThenRandomSampler(RandomSampler):
    """Takes the points of a grid over some parameters in random order, all else at random.

    When every point has been taken, everything is drawn at random. What has been taken is read
    from the study, so that a search which is continued, or shared by several processes, goes
    through the grid once.

    Example, as `hydra/sweeper/sampler` of a config:

        _target_: doctune.space.grid.GridThenRandomSampler
        grid: {optimizer.lr: 5, model: null}

    Args:
        grid: config key -> number of points from the lowest to the highest value, on the
            parameter's own scale; null for one with choices, all of which are taken. Keys that
            are not searched are passed over.
        seed: of the order and of what is drawn; the same in all processes of a study.
    """

    def __init__(self, grid: Mapping[str, int | None], seed: int | None = None) -> None:
        for key, points in grid.items():
            if points is not None and points < 2:
                raise ValueError(f"grid.{key}={points}: a range needs at least 2 points")
        super().__init__(seed)
        self._wanted = dict(grid)
        self._seed = seed
        self._points: list[dict[str, int]] = []

    def fit(self, distributions: Mapping[str, BaseDistribution]) -> None:
        """Lay the grid over what is searched."""
        sizes: dict[str, int] = {}
        for name, distribution in distributions.items():
            key = key_of(name)
            if key in self._wanted:
                size = _size(distribution, self._wanted[key])
                sizes[key] = max(size, sizes.get(key, 0))
        indices = itertools.product(*(range(size) for size in sizes.values()))
        self._points = [dict(zip(sizes, point, strict=True)) for point in indices] if sizes else []
        random.Random(self._seed or 0).shuffle(self._points)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Give the trial the next point, unless its parameters are queued already."""
        super().before_trial(study, trial)
        if self._seed is not None:
            # By number, or a search that is continued would draw its first values again.
            self._rng.rng.seed([self._seed, trial.number])
        if "fixed_params" in trial.system_attrs or POINT in trial.system_attrs:
            return
        # From the storage, as it must show what other processes have taken a moment ago.
        others = study._storage.get_all_trials(study._study_id, deepcopy=False)
        taken = [other.system_attrs[POINT] for other in others if POINT in other.system_attrs]
        point = next((point for point in self._points if point not in taken), None)
        if point is not None:
            study._storage.set_trial_system_attr(trial._trial_id, POINT, point)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the value at the trial's point, a random one for a parameter off the grid."""
        attrs = study._storage.get_trial_system_attrs(trial._trial_id)
        key = key_of(param_name)
        if key not in attrs.get(POINT, {}):
            return super().sample_independent(study, trial, param_name, param_distribution)
        index = attrs[POINT][key]
        return _value(param_distribution, index, self._wanted[key])


def _size(distribution: BaseDistribution, points: int | None) -> int:
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return min(points or DEFAULT_POINTS, (distribution.high - distribution.low) + 1)
    return points or DEFAULT_POINTS


def _value(distribution: BaseDistribution, index: int, points: int | None) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        # A branch of the space may have fewer choices than another one.
        return distribution.choices[index % len(distribution.choices)]
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    share = index / max(1, _size(distribution, points) - 1)
    low, high = distribution.low, distribution.high
    value = low * (high / low) ** share if distribution.log else low + share * (high - low)
    if distribution.step is not None:
        value = low + round((value - low) / distribution.step) * distribution.step
    value = min(max(value, low), high)
    return round(value) if isinstance(distribution, IntDistribution) else value


def fit_sampler(
    sampler: Any, space: SearchSpace, values_of: Callable[[BaseDistribution], Sequence[Any]]
) -> tuple[Any, int | None]:
    """Return the sampler for a search space, and how many points its grid has.

    Args:
        sampler: perhaps a partial one, as the stock sweeper's config makes Optuna's grid sampler.
        space: what is searched.
        values_of: the values of a parameter on a grid.

    Returns:
        The sampler; the number of points, None where it walks along no grid or goes on behind it.

    Raises:
        UserError: the grid cannot hold the space.
    """
    if hasattr(sampler, "fit"):
        sampler.fit(space.distributions)
    if not (isinstance(sampler, functools.partial) and sampler.func is optuna.samplers.GridSampler):
        return sampler, None
    if space.roots:
        raise UserError(
            "hydra/sweeper/sampler=grid: a grid cannot hold parameters that belong to one "
            f"value of {', '.join(space.roots)} alone; take grouped_tpe or grid_then_random"
        )
    grid = {}
    for name, distribution in space.distributions.items():
        try:
            grid[name] = list(values_of(distribution))
        except ValueError:
            key = key_of(name)
            raise UserError(
                f"hydra/sweeper/sampler=grid: {key} is searched in {describe(distribution)}, which "
                f"has no end of points; give some, as in {key}=0.1,0.2, or take another sampler"
            ) from None
    return sampler(grid), math.prod(len(values) for values in grid.values())
