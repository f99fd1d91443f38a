"""Samplers that walk along a grid are told what is searched."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution

from src.sweep.errors import SweepError
from src.sweep.space.search_space import SearchSpace


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
        SweepError: the grid cannot hold the space.
    """
    if hasattr(sampler, "fit"):
        sampler.fit(space.distributions)
    if not (isinstance(sampler, functools.partial) and sampler.func is optuna.samplers.GridSampler):
        return sampler, None
    if space.roots:
        raise SweepError(
            "hydra/sweeper/sampler=grid: a grid cannot hold parameters that belong to one "
            f"value of {', '.join(space.roots)} alone; take grouped_tpe or grid_then_random"
        )
    grid = {name: values_of(distribution) for name, distribution in space.distributions.items()}
    return sampler(grid), math.prod(len(values) for values in grid.values())
