"""What a study's trials add up to."""

from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import create_trial

from doctune.study.tally import Tally


@pytest.mark.parametrize(
    ("value", "alike"), [(0, [0]), (False, [1]), (0.0, [0]), (1, []), (True, [])]
)
def test_a_number_is_no_twin_of_true_or_false(value: Any, alike: list[int]) -> None:
    study = optuna.create_study()
    # Of a search, and of one that goes on with it: to Optuna their choices are the same.
    for choices in ((0, 1), (False, True)):
        space: dict[str, BaseDistribution] = {"x": CategoricalDistribution(choices)}
        study.add_trial(create_trial(value=1.0, params={"x": choices[0]}, distributions=space))
    tally = Tally()
    tally.look(study.trials)
    assert tally.alike({"x": value}) == alike
