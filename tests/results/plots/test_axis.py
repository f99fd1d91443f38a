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


@pytest.mark.parametrize("decades", [0.2, 0.5, 1, 1.7, 3, 5, 8, 12])
def test_a_logarithmic_axis_has_room_for_its_texts(decades: float) -> None:
    high = 10**decades * 1e-9
    axis = axis_of(FloatDistribution(1e-9, 1e4, log=True), [1e-9, high])
    _, shown = axis.ticks()
    assert 2 <= len(shown) <= 6
    assert axis.layout()["ticktext"] == shown


def test_choices_that_few_digits_make_equal_are_told_apart() -> None:
    choices = [1000.5, 1001.25, 2000.0]
    _, shown = axis_of(CategoricalDistribution(choices), choices).ticks()
    assert shown == ["1000.5", "1001.25", "2000.0"]
