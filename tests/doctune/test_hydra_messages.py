"""What is made of Hydra's own messages."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf
from omegaconf.errors import ValidationError

from doctune.hydra_messages import in_short


@dataclass
class Search:
    timeout: float | None = None
    trial_timeout: float | None = None
    seconds: float | None = None
    max_epochs: int = 1
    timeout_min: int = 1


@dataclass
class Config:
    search: Search = field(default_factory=Search)


def refused(key: str, value: str) -> str:
    config: Any = OmegaConf.structured(Config)
    with pytest.raises(ValidationError) as cause:
        OmegaConf.update(config, key, value)
    error = ConfigCompositionException(f"Error merging override {key}={value}")
    error.__cause__ = cause.value
    return in_short(error)


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("timeout", "2h", "; in seconds it is 7200"),
        ("timeout", "1.5 hours", "; in seconds it is 5400"),
        ("timeout", "2d", "; in seconds it is 172800"),
        ("trial_timeout", "5m", "; in seconds it is 300"),
        ("trial_timeout", "5min", "; in seconds it is 300"),
        ("seconds", "90sec", "; in seconds it is 90"),
        ("timeout", "5ms", ""),
        ("timeout", "2 months", ""),
        ("timeout", "3 dogs", ""),
        # Of keys that are no times, or in another unit.
        ("max_epochs", "5m", ""),
        ("timeout_min", "2h", ""),
    ],
)
def test_a_time_is_told_in_seconds_where_seconds_are_asked_for(
    key: str, value: str, hint: str
) -> None:
    kind = "whole number" if key in ("max_epochs", "timeout_min") else "number"
    told = refused(f"search.{key}", value)
    assert told == f"search.{key}={value}: '{value}' is not a {kind}{hint}"
