"""The numbers beside an axis are round ones, on every scale."""

from typing import Any

import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import create_trial

from src.results.plots.axis import Axis


def axis_of(distribution: BaseDistribution, values: list[Any]) -> Axis:
    trials = [
        create_trial(value=0, params={"x": value}, distributions={"x": distribution})
        for value in values
    ]
    return Axis("x", trials)


@pytest.mark.parametrize(
    ("distribution", "values", "texts"),
    [
        (FloatDistribution(0, 1), [0.019, 0.095], ["0.02", "0.04", "0.06", "0.08"]),
        (FloatDistribution(0, 1), [0.4, 0.4], ["0.4"]),
        (FloatDistribution(1e-6, 1, log=True), [1e-5, 1e-2], ["1e-05", "0.0001", "0.001", "0.01"]),
        (
            FloatDistribution(1e-6, 1, log=True),
            [1.9e-4, 1e-2],
            ["0.0003", "0.001", "0.003", "0.01"],
        ),
        (FloatDistribution(1e-6, 1, log=True), [0.021, 0.022], None),
        (IntDistribution(1, 9), [2, 4], ["2", "3", "4"]),
        (CategoricalDistribution([64, 16, 32]), [64, 16], ["16", "32", "64"]),
        (CategoricalDistribution(["avg", "<max>"]), ["avg"], ["avg", "&lt;max&gt;"]),
    ],
    ids=str,
)
def test_round_numbers(
    distribution: BaseDistribution, values: list[Any], texts: list[str] | None
) -> None:
    places, shown = axis_of(distribution, values).ticks()
    assert shown == texts if texts else len(shown) >= 2
    assert places == sorted(places)
    assert all(-0.01 <= place <= 1.01 for place in places)
