"""How far a search that follows an earlier one narrows its ranges; the keys of `focus`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from doctune.errors import UserError
from doctune.shown_keys import shown
from doctune.words import did_you_mean


@dataclass
class FocusRule:
    """`doctune/space/focus.py` states the rule; shares are of the old range.

    Raises:
        UserError: a number is none or out of its bounds.
    """

    # Of the complete trials, the best so many count, and at least `at_least`.
    share: float = 0.25
    at_least: int = 5
    # How far a range goes beyond the best trials, on both sides.
    margin: float = 0.1
    # How far it goes beyond its old end where the best trials press against that.
    widen: float = 0.25
    # Config key -> the largest value that is possible, whatever the rule says.
    limits: dict[str, Any] = field(default_factory=dict)
    # Settings in which both studies must agree, as the ranges would mean something else.
    same: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("share", "margin", "widen"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value <= 1:
                raise UserError(f"{shown('focus')}.{name}={value}: must be from 0 to 1")
        if not isinstance(self.at_least, int) or self.at_least < 1:
            raise UserError(
                f"{shown('focus')}.at_least={self.at_least}: must be a whole number from 1 on"
            )

    def count(self, complete: int) -> int:
        """Return how many of the complete trials count as the best."""
        return max(self.at_least, math.ceil(self.share * complete))

    @classmethod
    def read(cls, keys: Mapping[str, Any]) -> "FocusRule":
        """Make a rule of a config's keys."""
        known = cls.__dataclass_fields__
        for key in keys:
            if key not in known:
                raise UserError(f"{shown('focus')}.{key}: unknown{did_you_mean(key, known)}")
        return cls(**keys)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
