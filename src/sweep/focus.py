"""Narrower ranges around the best trials of an earlier study, wider where they press on an edge.

The rule, for every parameter that the earlier study has searched: the best `share` of its
complete trials (at least `at_least`) span an interval on the parameter's own scale, linear or
logarithmic. It is widened by `margin` of the old range on both sides and cut at the old range.
Where the best trials press against an end of the old range, that end moves out by `widen` of
the old range instead, though not below 0 where the old range stayed above it. Of choices those
remain that one of the best trials has.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial

from src.sweep.errors import SweepError
from src.sweep.warm_start import best_trials

Numeric = FloatDistribution | IntDistribution
# An end is pressed against when the best trial is within this share of the range from it, and
# half of the best ones are within three times that.
EDGE = 0.05


@dataclass(frozen=True)
class FocusRule:
    """How far ranges are narrowed; shares are of the old range."""

    share: float = 0.25
    at_least: int = 5
    margin: float = 0.1
    widen: float = 0.25

    def __post_init__(self) -> None:
        for name in ("share", "margin", "widen"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise SweepError(f"hydra.sweeper.focus.{name}: {value} is not from 0 to 1")

    def count(self, complete: int) -> int:
        """Return how many of the complete trials count as the best."""
        return max(self.at_least, math.ceil(self.share * complete))


def focused_distributions(earlier: optuna.Study, rule: FocusRule) -> dict[str, BaseDistribution]:
    """Return the search space of a study that looks closer at where an earlier one was best.

    Raises:
        SweepError: the earlier study has no complete trial.
    """
    complete = len(earlier.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)))
    if not complete:
        raise SweepError(
            f"optuna.from_study={earlier.study_name}: the study has no complete trial yet"
        )
    best = best_trials(earlier, rule.count(complete))
    found: dict[str, BaseDistribution] = {}
    for key, old in _distributions(best).items():
        values = [trial.params[key] for trial in best if key in trial.params]
        if isinstance(old, CategoricalDistribution):
            found[key] = CategoricalDistribution([c for c in old.choices if c in values])
        elif isinstance(old, (FloatDistribution, IntDistribution)):
            found[key] = _narrow(old, values, pressed_end(old, values), rule)
    return found


def pressed_end(old: BaseDistribution, values: Sequence[float]) -> Literal["low", "high"] | None:
    """Return the end of a range against which the best trials press, if they do.

    Args:
        old: the range that was searched.
        values: the parameter's values in the best trials, the best first.
    """
    if not isinstance(old, (FloatDistribution, IntDistribution)) or not values:
        return None
    places = [_place(old, value) for value in values]
    for end, distances in (("low", places), ("high", [1 - place for place in places])):
        near = sum(distance <= 3 * EDGE for distance in distances)
        if distances[0] <= EDGE and 2 * near >= len(values):
            return end  # type: ignore[return-value]
    return None


def widened(old: Numeric, end: str, by: float) -> float:
    """Return an end of a range moved out by a share of the range, on the range's own scale."""
    value = _value(old, -by if end == "low" else 1 + by)
    return max(value, 0.0) if end == "low" and old.low >= 0 else value


def _distributions(best: Sequence[FrozenTrial]) -> Mapping[str, BaseDistribution]:
    return {key: dist for trial in reversed(best) for key, dist in trial.distributions.items()}


def _narrow(
    old: Numeric, values: Sequence[float], pressed: str | None, rule: FocusRule
) -> BaseDistribution:
    places = [_place(old, value) for value in values]
    low = _value(old, max(0.0, min(places) - rule.margin))
    high = _value(old, min(1.0, max(places) + rule.margin))
    if pressed == "low":
        low = widened(old, "low", rule.widen)
    elif pressed == "high":
        high = widened(old, "high", rule.widen)
    if isinstance(old, IntDistribution):
        first, last = math.floor(low), max(math.ceil(high), math.floor(low) + 1)
        return IntDistribution(max(first, 1) if old.log else first, last, log=old.log)
    return FloatDistribution(low, high, log=old.log)


def _place(old: Numeric, value: float) -> float:
    """Return where a value lies in a range: 0 at its low end, 1 at its high end."""
    if old.low == old.high:
        return 0.5
    if old.log:
        return math.log(value / old.low) / math.log(old.high / old.low)
    return (value - old.low) / (old.high - old.low)


def _value(old: Numeric, place: float) -> float:
    if old.log:
        return float(old.low * (old.high / old.low) ** place)
    return float(old.low + place * (old.high - old.low))
