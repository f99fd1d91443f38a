"""Every key of a search stands in one place: typed, limited, handed on whole."""

import math
from dataclasses import dataclass, fields
from typing import Any

import pytest
from omegaconf import OmegaConf

from doctune import shown_keys
from doctune.errors import UserError
from doctune.study.keys import LIMITS, StudyKeys, check_limits, limited
from doctune.sweeper.config import OptunaAsyncSweeperConf, read_keys
from src.before.config import StudyConfig
from tests.conftest import CONF, Door
from tests.doctune.sweeper.in_process import Searches
from tests.doctune.sweeper.in_process import search as search

SWEEPER: Any = OmegaConf.load(f"{CONF}/hydra/sweeper/optuna_async.yaml")
LIMITED = [one for one in fields(OptunaAsyncSweeperConf) if LIMITS in one.metadata]


def test_the_app_hands_every_key_on_under_its_name() -> None:
    raw = OmegaConf.to_container(SWEEPER, resolve=False)
    assert isinstance(raw, dict)
    for key in fields(StudyKeys):
        assert raw[key.name] == f"${{optuna.{key.name}}}"
        assert key.name in {one.name for one in fields(StudyConfig)}


def test_limits_are_those_of_the_keys_that_are_numbers() -> None:
    assert {one.name for one in LIMITED} == {
        one.name for one in fields(OptunaAsyncSweeperConf) if type(one.default) in (int, float)
    } | {"timeout", "trial_timeout", "n_jobs", "stop_when"}


def _check(name: str, value: float | None) -> None:
    check_limits({**vars(OptunaAsyncSweeperConf()), name: value}, OptunaAsyncSweeperConf)


@pytest.mark.parametrize("name", [one.name for one in LIMITED])
def test_a_number_out_of_its_range_is_told_by_the_key_as_it_is_typed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown_keys, "_names", {})
    (one,) = [one for one in LIMITED if one.name == name]
    low, high = one.metadata[LIMITS]
    made: Any = OmegaConf.merge(OptunaAsyncSweeperConf, SWEEPER)
    shown_keys.show_keys_of(OmegaConf.create({"hydra": {"sweeper": made}}))
    handed_on = OmegaConf.to_container(SWEEPER, resolve=False)
    assert isinstance(handed_on, dict)
    key = str(handed_on.get(name, f"${{hydra.sweeper.{name}}}"))[2:-1]
    for value in (low, None, *([high] if high < math.inf else [])):
        _check(name, value)
    with pytest.raises(UserError, match=rf"^{key}: {low - 1} is below {low}$"):
        _check(name, low - 1)
    if high < math.inf:
        with pytest.raises(UserError, match=rf"^{key}: {high + 1} is above {high}$"):
            _check(name, high + 1)
    shown_keys.show_keys_of(OmegaConf.create({"hydra": {"sweeper": OptunaAsyncSweeperConf()}}))
    with pytest.raises(UserError, match=rf"^hydra\.sweeper\.{name}: nan is no number"):
        _check(name, math.nan)


def test_a_new_key_is_a_field_alone() -> None:
    @dataclass
    class WithOneMore(OptunaAsyncSweeperConf):
        patience: int = limited(3, low=1, high=9)

    with pytest.raises(UserError, match=r"patience: 10 is above 9$"):
        check_limits(vars(WithOneMore(patience=10)), WithOneMore)


def test_a_key_that_there_is_not_is_told_with_the_nearest() -> None:
    assert read_keys({"retries": 3}).retries == 3
    with pytest.raises(UserError, match=r"^hydra\.sweeper\.retrys: .* did you mean retries\?$"):
        read_keys({"retrys": 3})


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("optuna.max_failure_rate=2", "optuna.max_failure_rate: 2.0 is above 1\n"),
        ("optuna.trial_timeout=-1", "optuna.trial_timeout: -1.0 is below 0\n"),
    ],
)
def test_in_the_app_it_is_told_in_one_line(door: Door, word: str, told: str) -> None:
    assert door("src.train", "-m", "hparams_search=fast", "gpu=cpu", word, code=1) == told


def test_in_an_app_of_ones_own_too(search: Searches) -> None:
    ended = search("hydra.sweeper.n_trials=0", "+x=interval(0,2)")
    assert (ended.code, ended.said) == (1, "hydra.sweeper.n_trials: 0 is below 1\n")
