"""Typed entries, Hydra's grammar, and how they meet."""

import math
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from src.sweep.errors import SweepError
from src.sweep.search_space import (
    build_search_space,
    defaults_within,
    examples,
    to_override,
    typed_distributions,
)


def typed(**entry: Any) -> Any:
    return OmegaConf.create({"lr": {"key": "optimizer.lr", **entry}})


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (
            {"type": "loguniform", "low": "1e-5", "high": 1e-2},
            FloatDistribution(1e-5, 1e-2, log=True),
        ),
        ({"type": "uniform", "low": 0, "high": 1}, FloatDistribution(0, 1)),
        ({"type": "uniform", "low": 0, "high": 1, "step": 0.5}, FloatDistribution(0, 1, step=0.5)),
        ({"type": "int", "low": 1, "high": 5}, IntDistribution(1, 5)),
        ({"type": "int", "low": 0, "high": 8, "step": 4}, IntDistribution(0, 8, step=4)),
        ({"type": "logint", "low": 1, "high": 64}, IntDistribution(1, 64, log=True)),
        ({"type": "categorical", "choices": [16, 32, 16]}, CategoricalDistribution((16, 32))),
    ],
)
def test_types(entry: dict[str, Any], expected: Any) -> None:
    assert typed_distributions(typed(**entry)) == {"optimizer.lr": expected}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"type": "uniform", "low": 2, "high": 1}, "search_space.lr: low 2 is not below high 1"),
        ({"type": "uniform", "low": 1, "high": 1}, "is not below"),
        ({"type": "loguniform", "low": 0, "high": 1}, "search_space.lr.low: 0 must be above 0"),
        ({"type": "logunifrom", "low": 1, "high": 2}, "did you mean loguniform?"),
        ({"type": "categorical", "choices": []}, "search_space.lr.choices: [] is empty"),
        ({"type": "categorical"}, "is empty"),
        ({"type": "uniform", "low": "a", "high": 2}, "search_space.lr.low: 'a' is not a number"),
        ({"type": "uniform", "low": 0, "high": math.inf}, "is not a finite number"),
        ({"type": "uniform", "high": 2}, "search_space.lr.low: None is not a number"),
        ({"type": "int", "low": 0.5, "high": 2}, "must be whole numbers"),
        ({"type": "uniform", "low": 0, "hihg": 2}, "search_space.lr.hihg: unknown; did you mean"),
        ({"low": 0, "high": 2}, "search_space.lr.type: None is unknown"),
    ],
)
def test_wrong_entries_are_named(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(SweepError) as error:
        typed_distributions(typed(**entry))
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_entry_without_key_and_two_entries_for_one_key() -> None:
    with pytest.raises(SweepError, match=r"search_space\.a\.key: missing"):
        typed_distributions(OmegaConf.create({"a": {"type": "uniform", "low": 0, "high": 1}}))
    entry = {"key": "k", "type": "uniform", "low": 0, "high": 1}
    with pytest.raises(SweepError, match="set by another entry"):
        typed_distributions(OmegaConf.create({"a": entry, "b": entry}))


def test_entry_left_out_by_its_condition_or_set_to_null() -> None:
    entry = {"key": "k", "type": "uniform", "low": 0, "high": 1}
    space = OmegaConf.create({"a": {**entry, "unless": 32}, "b": None, "c": {**entry, "key": "c"}})
    assert list(typed_distributions(space)) == ["c"]


LR = {"type": "loguniform", "low": 1e-5, "high": 1e-2}


def test_a_value_on_the_command_line_takes_the_key_out() -> None:
    space = build_search_space(typed(**LR), [], ["optimizer.lr=3e-4", "seed=1"])
    assert space.distributions == {}
    assert space.job_overrides({}) == ["optimizer.lr=0.0003", "seed=1"]


def test_a_sweep_on_the_command_line_puts_the_key_in() -> None:
    space = build_search_space(None, [], ["optimizer.lr=tag(log, interval(1e-5,1e-3))", "~logger"])
    assert space.distributions == {"optimizer.lr": FloatDistribution(1e-5, 1e-3, log=True)}
    assert space.job_overrides({"optimizer.lr": 1e-4}) == ["optimizer.lr=0.0001", "~logger"]


def test_the_later_source_wins() -> None:
    space = build_search_space(typed(**LR), ["optimizer.lr=0.1"], ["optimizer.lr=choice(1,2)"])
    assert list(space.distributions) == ["optimizer.lr"]
    assert space.fixed == {}
    space = build_search_space(typed(**LR), ["optimizer.lr=choice(1,2)"], ["optimizer.lr=0.1"])
    assert space.distributions == {}


def test_a_wrong_sweep_on_the_command_line_is_one_line() -> None:
    with pytest.raises(SweepError, match="x=interval"):
        build_search_space(None, [], ["x=interval(2,0)"])


@given(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**6), 10**6),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=20),
    )
)
def test_sampled_values_survive_hydras_grammar(value: Any) -> None:
    override = OverridesParser.create().parse_override(to_override("key", value))
    back = override.value()
    assert (str(back) if isinstance(value, str) else back) == value


def test_examples_hold_every_choice_and_both_ends() -> None:
    distributions = {
        "a": CategoricalDistribution(["x", "y", "z"]),
        "b": FloatDistribution(0.0, 1.0),
    }
    found = examples(distributions)
    assert {e["a"] for e in found} == {"x", "y", "z"}
    assert {e["b"] for e in found} == {0.0, 1.0}
    assert examples({}) == [{}]


def test_defaults_are_moved_into_the_range() -> None:
    config = OmegaConf.create({"a": 0.0, "b": 32, "c": 7})
    distributions = {
        "a": FloatDistribution(0.01, 0.15),
        "b": CategoricalDistribution([16, 32]),
        "c": CategoricalDistribution([1, 2]),
    }
    assert defaults_within(config=config, distributions=distributions) == {"a": 0.01, "b": 32}
