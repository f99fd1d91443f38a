"""Two studies or more beside one another: whose best is better, and whether that can be said."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from doctune.space.parameters import describe
from doctune.words import duration, key_of, score, settings_of
from src.data.wear_presets import KEY, NONE
from src.results.confirmation.judge import PairedDifference
from src.results.stored_study import StoredStudy
from src.results.summary import ENOUGH_FOLDS, Summary, gain, summarize

# Settings that two studies may differ in while their scores mean the same; under any other one
# they were not scored on the same images.
SAME_SCALE = (
    *("model", "pretrained", "seed", "code", "optuna.objectives"),
    *("quick_validation.epochs", "quick_validation.seconds"),
)


@dataclass(frozen=True)
class Side:
    """One of the studies."""

    stored: StoredStudy
    found: Summary

    @property
    def name(self) -> str:
        """Return the study's name."""
        return self.found.name

    @property
    def settings(self) -> dict[str, Any]:
        """Return what its scores depend on, as the search has noted it."""
        known: dict[str, Any] = self.stored.study.user_attrs.get("settings", {})
        # Studies of before there was wear scored pages as they are.
        wear = {KEY: NONE} if known else {}
        return {name: value for name, value in {**wear, **known}.items() if value is not None}


@dataclass(frozen=True)
class Comparison:
    """What the page of several studies opens with, and its tables."""

    sides: Sequence[Side]
    # The one with the best score, which may be by chance.
    leader: Side | None
    headline: str
    detail: str
    # good, unsure or none.
    tone: str
    # Best of the leader against the best of the one that comes next, fold by fold.
    gain: PairedDifference | None
    # Setting -> its value in each study; only those that differ.
    differing: dict[str, list[str]]
    # Figure -> its value in each study.
    figures: dict[str, list[str]]
    # Parameter -> best value and searched range in each study.
    parameters: dict[str, list[tuple[str, str]]]


def compare(studies: Sequence[StoredStudy]) -> Comparison:
    """Compare studies by their best trials.

    Args:
        studies: at least two.
    """
    sides = [Side(stored, summarize(stored.study)) for stored in studies]
    differing = _differing(sides)
    apart = _apart(sides, differing)
    ranked = _ranked(sides)
    ahead = None
    if len(ranked) > 1 and not apart:
        ahead = gain(ranked[0].stored.study, _best(ranked[0]), _best(ranked[1]))
    headline, detail, tone = _verdict(ranked, ahead, apart)
    return Comparison(
        sides,
        ranked[0] if ranked and not apart else None,
        headline,
        detail,
        tone,
        ahead,
        differing,
        _figures(sides),
        _parameters(sides),
    )


def _differing(sides: Sequence[Side]) -> dict[str, list[str]]:
    names = dict.fromkeys(name for side in sides for name in side.settings)
    rows = {name: [_written(side.settings.get(name)) for side in sides] for name in names}
    return {name: values for name, values in rows.items() if len(set(values)) > 1}


def _written(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _apart(sides: Sequence[Side], differing: dict[str, list[str]]) -> list[str]:
    """Return what keeps the scores from being compared."""
    if not all(side.settings for side in sides):
        # A search of another app, or of an early version.
        return ["what is known of their data"]
    apart = [name for name in differing if name not in SAME_SCALE]
    first = {(side.found.objectives[0], side.stored.study.directions[0]) for side in sides}
    if len(first) > 1:
        apart.append("the objective")
    return apart


def _ranked(sides: Sequence[Side]) -> list[Side]:
    """Return the studies with a result, the one with the best score first."""
    lower = sides[0].stored.study.directions[0] == StudyDirection.MINIMIZE
    done = [side for side in sides if side.found.best is not None]
    return sorted(done, key=lambda side: _best(side).values[0] * (1 if lower else -1))


def _best(side: Side) -> FrozenTrial:
    assert side.found.best is not None
    return side.found.best


def _verdict(
    ranked: Sequence[Side], gain: PairedDifference | None, apart: Sequence[str]
) -> tuple[str, str, str]:
    if len(ranked) < 2:
        return "Nothing to compare yet", "Fewer than two of them have a complete trial.", "none"
    leader, other = ranked[:2]
    bests = "; ".join(
        f"{side.name} has {score(_best(side).values[0])} in trial {_best(side).number}, "
        f"{_of_how_many(side)}"
        for side in ranked
    )
    if apart:
        differ = ", ".join(apart)
        return "Their scores do not compare", f"They differ in {differ}. {bests}.", "unsure"
    difference = abs(_best(leader).values[0] - _best(other).values[0])
    if difference == 0:
        return f"{leader.name} and {other.name} are equal", f"{bests}.", "none"
    if gain is None:
        told = f"With fewer than {ENOUGH_FOLDS} folds in common nothing says how sure this is."
        return f"{leader.name} leads by {difference:.4f}", f"{bests}. {told}", "unsure"
    if gain.is_clear and gain.mean > 0:
        return f"{leader.name} is better by {difference:.4f}", f"{bests}.", "good"
    told = "That is within what folds differ by."
    return f"{leader.name} is perhaps better, by {difference:.4f}", f"{bests}. {told}", "unsure"


def _of_how_many(side: Side) -> str:
    count = len(side.found.ranked)
    return f"the best of {count} complete trials" if count > 1 else "its only complete trial"


def _figures(sides: Sequence[Side]) -> dict[str, list[str]]:
    def row(what: Any) -> list[str]:
        return [what(side.found) for side in sides]

    found = {
        f"best {sides[0].found.objectives[0]}": row(
            lambda f: "" if f.best is None else score(f.best.values[0])
        ),
        "its folds": row(
            lambda f: "" if f.best is None else _folds(f.best.user_attrs.get("folds") or [])
        ),
        "the defaults": row(lambda f: "" if f.defaults is None else score(f.defaults.values[0])),
        "complete": row(lambda f: str(len(f.ranked))),
        "pruned": row(lambda f: str(len(f.pruned))),
        "failed": row(lambda f: str(len(f.failed))),
        "time of searching": row(lambda f: duration(f.seconds)),
        "time of all trials": row(lambda f: duration(f.trial_seconds)),
        "epochs trained": row(lambda f: str(f.epochs)),
    }
    return {name: values for name, values in found.items() if any(values)}


def _folds(folds: Sequence[float]) -> str:
    return ", ".join(f"{fold:.3f}" for fold in folds)


def _parameters(sides: Sequence[Side]) -> dict[str, list[tuple[str, str]]]:
    """Return the best value and the range of each parameter, empty where a study has none."""
    ranges = [_ranges(side) for side in sides]
    bests = [settings_of(side.found.best.params) if side.found.best else {} for side in sides]
    keys = dict.fromkeys(key for each in ranges for key in each)
    return {
        key: [
            (_shown(best.get(key)), each.get(key, ""))
            for best, each in zip(bests, ranges, strict=True)
        ]
        for key in keys
    }


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _ranges(side: Side) -> dict[str, str]:
    """Return what was searched by config key; several ranges where models have their own."""
    found: dict[str, dict[str, None]] = {}
    for trial in side.stored.study.get_trials(deepcopy=False):
        for name, distribution in trial.distributions.items():
            found.setdefault(key_of(name), {})[describe(distribution)] = None
    return {key: " or ".join(each) for key, each in found.items()}
