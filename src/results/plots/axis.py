"""A parameter's scale on a plot: where a trial lies, and round numbers to write beside it."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial

from doctune.words import show

# Round numbers on an axis, about so many, and on a logarithmic one, whose texts are longer.
TICKS = 5
MOST_TICKS_ON_LOG = 6
# The leading digits of round numbers on a logarithmic axis, the fewest first.
LEADING = ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10)))


class Axis:
    """A parameter's scale: numbers linear or logarithmic, choices side by side."""

    def __init__(self, key: str, trials: Sequence[FrozenTrial]) -> None:
        self._key = key
        self._distribution: BaseDistribution = trials[0].distributions[key]
        self._log = bool(getattr(self._distribution, "log", False))
        self._choices: list[Any] | None = None
        if isinstance(self._distribution, CategoricalDistribution):
            self._choices = in_order(self._distribution.choices)
        values = [trial.params[key] for trial in trials]
        if self._choices is None:
            self._low, self._high = min(values), max(values)

    def shown(self, trial: FrozenTrial) -> Any:
        """Return the value as a plotly axis of its own takes it; of a choice its place in line."""
        value = trial.params[self._key]
        return float(f"{value:.6g}") if self._choices is None else self._choices.index(value)

    def layout(self) -> dict[str, Any]:
        """Return the settings of that axis."""
        if self._choices is not None:
            # Places, not names: plotly would take names such as 2024-01 for dates.
            return {
                "type": "linear",
                "tickvals": list(range(len(self._choices))),
                "ticktext": self._names(),
                "range": [-0.5, len(self._choices) - 0.5],
            }
        if not self._log:
            return {"type": "linear"}
        values = self._round_numbers()
        return {"type": "log", "tickvals": values, "ticktext": [show(value) for value in values]}

    def place(self, trial: FrozenTrial) -> float:
        """Return where the trial lies, from 0 to 1."""
        return self._place(trial.params[self._key])

    def ticks(self) -> tuple[list[float], list[str]]:
        """Return places from 0 to 1 and what to write there."""
        if self._choices is not None:
            return [self._place(choice) for choice in self._choices], self._names()
        values = self._round_numbers()
        return [self._place(value) for value in values], [show(value) for value in values]

    def _names(self) -> list[str]:
        """Write the choices, in more digits where few would make two of them equal."""
        choices = self._choices or []
        names = [show(choice) for choice in choices]
        if len(set(names)) < len(names):
            names = [str(choice) for choice in choices]
        return [escape(name) for name in names]

    def _place(self, value: Any) -> float:
        if self._choices is not None:
            last = len(self._choices) - 1
            return self._choices.index(value) / last if last else 0.5
        if self._high == self._low:
            return 0.5
        if self._log:
            return math.log(value / self._low) / math.log(self._high / self._low)
        return float((value - self._low) / (self._high - self._low))

    def _round_numbers(self) -> list[float]:
        if self._high == self._low:
            return [self._low]
        if self._log and (found := _round_on_log_scale(self._low, self._high)):
            return found
        whole = isinstance(self._distribution, IntDistribution)
        return _round_on_linear_scale(self._low, self._high, whole)


def _round_on_linear_scale(low: float, high: float, whole: bool) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten between two numbers."""
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    if whole:
        step = max(1.0, step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def _round_on_log_scale(low: float, high: float) -> list[float]:
    """Return powers of ten, with some multiples where there are few; none in a narrow range."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for leading in LEADING:
        values = [float(f"{digit}e{power}") for power in powers for digit in leading]
        inside = [value for value in values if low * 0.99 <= value <= high * 1.01]
        if len(inside) >= TICKS - 2:
            every = math.ceil(len(inside) / MOST_TICKS_ON_LOG)
            return inside[::every]
    return []


def in_order(choices: Sequence[Any]) -> list[Any]:
    """Put numbers in order; anything else stays as it was listed."""
    numeric = all(isinstance(choice, (int, float)) for choice in choices)
    return sorted(choices) if numeric else list(choices)
