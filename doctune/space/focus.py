"""Narrower ranges around the best trials of an earlier study, wider where they press on an edge.

The rule, for every parameter that the earlier study has searched: the best `share` of its
complete trials (at least `at_least`) span an interval on the parameter's own scale, linear or
logarithmic. It is widened by `margin` of the old range on both sides and cut at the old range.
Where the best trials press against an end of the old range, that end moves out by `widen` of
the old range instead, though not below 0 where the old range stayed above it. Of choices those
remain that one of the best trials has. Nothing goes beyond `limits`.

What belongs to one model alone is narrowed by the best trials of that model.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from doctune.errors import UserError
from doctune.shown_keys import shown
from doctune.space.focus_rule import FocusRule
from doctune.space.record import recorded_space
from doctune.space.search_space import Branch, SearchSpace
from doctune.study.warm_start import best_trials
from doctune.words import key_of

Numeric = FloatDistribution | IntDistribution
# An end is pressed against when the best trial is within this share of the range from it, and
# half of the best ones are within three times that.
EDGE = 0.05


@dataclass(frozen=True)
class Focus:
    """What an earlier study leads to."""

    earlier: str
    # Complete trials of the earlier study, and how many of them count as the best.
    complete: int
    best: int
    # Where the earlier study has searched, and where to look now.
    before: SearchSpace
    space: SearchSpace


def focus_on(earlier: optuna.Study, rule: FocusRule) -> Focus:
    """Return the search space of a study that looks closer at where an earlier one was best.

    Raises:
        UserError: the earlier study has no complete trial, or nothing is left within the limits.
    """
    name = earlier.study_name
    complete = len(earlier.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    if not complete:
        raise UserError(f"{shown('from_study')}={name}: the study has no complete trial yet")
    before = recorded_space(earlier)
    best = best_trials(earlier, rule.count(complete))
    return Focus(name, complete, len(best), before, narrowed(before, best, rule))


def narrowed(space: SearchSpace, best: Sequence[FrozenTrial], rule: FocusRule) -> SearchSpace:
    """Return a search space with every range narrowed to where the best trials are.

    Args:
        space: where they were searched.
        best: complete trials, the best first.
        rule: how far.
    """

    def narrow(name: str, old: BaseDistribution) -> BaseDistribution:
        values = [trial.params[name] for trial in best if name in trial.params]
        return _limited(name, _narrowed(old, values, rule), rule)

    roots: dict[str, CategoricalDistribution] = {}
    for key, old in space.roots.items():
        new = narrow(key, old)
        assert isinstance(new, CategoricalDistribution)
        roots[key] = new
    branches = {
        values: Branch({name: narrow(name, old) for name, old in branch.distributions.items()})
        for values, branch in space.branches.items()
        if all(value in root.choices for value, root in zip(values, roots.values(), strict=True))
    }
    return dataclasses.replace(space, roots=roots, branches=branches)


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


def _narrowed(old: BaseDistribution, values: Sequence[Any], rule: FocusRule) -> BaseDistribution:
    if not values:
        return old
    if isinstance(old, CategoricalDistribution):
        return CategoricalDistribution([c for c in old.choices if c in values] or old.choices)
    assert isinstance(old, (FloatDistribution, IntDistribution))
    places = [min(1.0, max(0.0, _place(old, value))) for value in values]
    low = _value(old, max(0.0, min(places) - rule.margin))
    high = _value(old, min(1.0, max(places) + rule.margin))
    pressed = pressed_end(old, values)
    if pressed == "low":
        low = widened(old, "low", rule.widen)
    elif pressed == "high":
        high = widened(old, "high", rule.widen)
    return _between(old, low, high)


def _between(old: Numeric, low: float, high: float) -> Numeric:
    """Return a range of the same kind, with its ends on the steps of the old one."""
    if old.step is not None and not old.log:
        low = old.low + math.floor((low - old.low) / old.step + 1e-9) * old.step
        high = old.low + math.ceil((high - old.low) / old.step - 1e-9) * old.step
    if isinstance(old, IntDistribution):
        first, last = math.floor(low), math.ceil(high)
        return IntDistribution(max(first, 1) if old.log else first, last, old.log, old.step)
    if old.step is None:
        low, high = _rounded(low), max(_rounded(high), _rounded(low))
    return FloatDistribution(low, high, old.log, old.step)


def _rounded(end: float) -> float:
    """Return the end of a range with the digits that a reader needs."""
    return float(f"{end:.3g}")


def _limited(name: str, new: BaseDistribution, rule: FocusRule) -> BaseDistribution:
    limit = rule.limits.get(key_of(name))
    if limit is None:
        return new
    if isinstance(new, CategoricalDistribution):
        left = [c for c in new.choices if not isinstance(c, (int, float)) or c <= limit]
        if left:
            return CategoricalDistribution(left)
    elif isinstance(new, (FloatDistribution, IntDistribution)) and new.low < limit:
        return _between(new, new.low, min(new.high, limit))
    raise UserError(
        f"{key_of(name)}: the best trials of the earlier study all have more than the {limit} "
        f"that {shown('focus')}.limits allows here; give a value, as in {key_of(name)}={limit}"
    )


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
