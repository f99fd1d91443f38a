"""Ends of ranges that the best trials press against, in words, and the key that widens them."""

from collections.abc import Mapping, Sequence

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from doctune.space.focus import pressed_end, widened
from doctune.space.focus_rule import FocusRule
from doctune.words import key_of, show

# With fewer complete trials nothing is said of small differences and of ends of ranges.
FEW_FINISHED = 10


def edges(ranked: Sequence[FrozenTrial], entries: Mapping[str, str], ended: int = 0) -> list[str]:
    """Name the ends of ranges that the best trials press against.

    By the same rule as `hparams_search=focus`; silent below `FEW_FINISHED` trials.

    Args:
        ranked: complete trials, the best first.
        entries: parameter -> the node that holds its range.
        ended: trials beside them that the pruner has ended, as none of the best.
    """
    if len(ranked) + ended < FEW_FINISHED or len(ranked) < FocusRule().at_least:
        return []
    best = ranked[: FocusRule().count(len(ranked) + ended)]
    said = []
    for name, old in best[0].distributions.items():
        values = [trial.params[name] for trial in best if name in trial.params]
        key, label = key_of(name), name[len(key_of(name)) + 1 : -1]
        if isinstance(old, CategoricalDistribution):
            said += _edge_of_choices(key, label, old, values, entries)
            continue
        end = pressed_end(old, values)
        if end is None or not isinstance(old, (FloatDistribution, IntDistribution)):
            continue
        new, now = widened(old, end, FocusRule().widen), getattr(old, end)
        if new == now:
            continue
        way = "upwards" if end == "high" else "downwards"
        said.append(
            f"Widen {_of(key, label)} {way}: the best trials press against its end at "
            f"{show(now)}. {_how(key, end, float(f'{new:.2g}'), old, entries)} in another study"
            f"{_alone(label)}."
        )
    return said


def _of(key: str, label: str) -> str:
    """Name a parameter, and whose it is where each model has its own."""
    return f"{key} of {label}" if label else key


def _alone(label: str) -> str:
    return f", of {label} alone" if label else ""


def _how(
    key: str,
    end: str,
    new: float,
    old: FloatDistribution | IntDistribution,
    entries: Mapping[str, str],
) -> str:
    if key in entries:
        return f"Set {entries[key]}.{end}={new:g}"
    low, high = (new, old.high) if end == "low" else (old.low, new)
    interval = f"interval({low:g}, {high:g})"
    return f"Give '{key}={f'tag(log, {interval})' if old.log else interval}'"


def _edge_of_choices(
    key: str,
    label: str,
    old: CategoricalDistribution,
    values: Sequence[object],
    entries: Mapping[str, str],
) -> list[str]:
    """Say so where the largest or smallest of three or more numbers wins."""
    choices = [c for c in old.choices if isinstance(c, (int, float)) and not isinstance(c, bool)]
    if len(choices) < 3 or len(choices) != len(old.choices):
        return []
    for end, way in ((max(choices), "larger"), (min(choices), "smaller")):
        # Nothing is below no epochs, no images and the like.
        if way == "smaller" and end <= 0:
            continue
        if values[0] == end and 2 * sum(value == end for value in values) > len(values):
            where = f"{entries[key]}.choices" if key in entries else key
            return [
                f"Most of the best trials{f' of {label}' * bool(label)} have {key}={end}, the "
                f"{way[:-1]}st of its choices. Add a {way} one to {where} in another study"
                f"{_alone(label)}{', if the memory allows it' if way == 'larger' else ''}."
            ]
    return []
