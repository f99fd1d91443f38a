"""Which trial of a search is trained with.

With one objective the score of the best trial is partly luck, the more so the more trials there
are. `optuna.choose_by` says what that is asked beside its mean over the folds:

each_fold    the best mean among the trials that are behind the defaults on no fold; where there is
             none, the defaults: nothing was gained (docs/curves.md has what that is worth)
mean         the best mean, whatever the folds say

With several objectives no trial of the Pareto front is better than another one in everything, so a
rule decides, `optuna.choose`:

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

from src.before.objectives import EACH_FOLD, RULES

TOLERANCE = 0.01


def chosen_by(study: optuna.Study) -> str:
    """Return what the trial of a study is chosen by; each fold where nothing was said."""
    return str(study.user_attrs.get("choose", {}).get("by", EACH_FOLD))


def choose_by_folds(
    ranked: Sequence[FrozenTrial], maximize: bool, by: str = EACH_FOLD
) -> FrozenTrial:
    """Return the trial to train with, by one objective.

    The first where the defaults are not complete, or have not noted their folds.

    Args:
        ranked: complete trials, at least one, the best first.
        maximize: whether a higher score is better.
        by: one of `CHOSEN_BY`.
    """
    defaults = next((trial for trial in ranked if trial.user_attrs.get("defaults")), None)
    if by != EACH_FOLD or defaults is None or not defaults.user_attrs.get("folds"):
        return ranked[0]
    # The defaults are not behind themselves.
    return next(trial for trial in ranked if not folds_behind(trial, defaults, maximize))


def folds_behind(trial: FrozenTrial, defaults: FrozenTrial, maximize: bool) -> list[int]:
    """Return the folds, from 1, on which a trial is behind the defaults.

    All of them where it has not noted as many: nothing shows that it is not.

    Args:
        trial: a complete one.
        defaults: the trial with the config's own values.
        maximize: whether a higher score is better.
    """
    ours, theirs = (one.user_attrs.get("folds") or [] for one in (trial, defaults))
    if len(ours) != len(theirs):
        return list(range(1, max(len(ours), len(theirs)) + 1))
    sign = 1 if maximize else -1
    pairs = enumerate(zip(ours, theirs, strict=True), 1)
    return [fold for fold, (mine, other) in pairs if sign * mine < sign * other]


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
