"""Which trial of a search with several objectives is trained with.

No trial of the Pareto front is better than another one in everything, so a rule decides,
`optuna.choose`:

tolerance    among the trials whose first objective is within `optuna.tolerance` of the best
             (a share of it), the best one in the other objectives: nearly the best, for less
knee         the trial nearest to the ideal point, which has the best of every objective, each
             measured from its best (0) to its worst (1) on the front
best_first   the best first objective, whatever the others
"""

import math
from collections.abc import Sequence

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from src.before.objectives import RULES

TOLERANCE = 0.01


def choose(
    study: optuna.Study,
    front: Sequence[FrozenTrial],
    rule: str = "tolerance",
    tolerance: float = TOLERANCE,
) -> FrozenTrial:
    """Return one trial of the Pareto front.

    Args:
        study: of which only the directions count.
        front: at least one trial.
        rule: one of `RULES`.
        tolerance: share of the best first objective that may be given up.

    Raises:
        ValueError: the rule is unknown.
    """
    if rule not in RULES:
        raise ValueError(f"{rule!r} is no rule; choose {', '.join(RULES)}")
    losses = {trial.number: _losses(study, trial) for trial in front}
    best = min(front, key=lambda trial: losses[trial.number])
    if rule == "best_first":
        return best
    scaled = _scaled(losses)
    if rule == "knee":
        return min(front, key=lambda trial: math.hypot(*scaled[trial.number]))
    worst_allowed = losses[best.number][0] + tolerance * abs(losses[best.number][0])
    near = [trial for trial in front if losses[trial.number][0] <= worst_allowed]
    return min(near, key=lambda trial: sum(scaled[trial.number][1:]))


def _losses(study: optuna.Study, trial: FrozenTrial) -> tuple[float, ...]:
    signs = [-1 if way == StudyDirection.MAXIMIZE else 1 for way in study.directions]
    return tuple(sign * value for sign, value in zip(signs, trial.values, strict=True))


def _scaled(losses: dict[int, tuple[float, ...]]) -> dict[int, list[float]]:
    """Measure every objective from 0, its best on the front, to 1, its worst."""
    columns = list(zip(*losses.values(), strict=True))
    ranges = [(min(column), max(column)) for column in columns]
    return {
        number: [
            (value - low) / (high - low) if high > low else 0.0
            for value, (low, high) in zip(values, ranges, strict=True)
        ]
        for number, values in losses.items()
    }
