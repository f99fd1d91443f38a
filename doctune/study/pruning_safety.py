"""Whether pruning was safe: what early values say of the last ones, and what may have been lost.

Complete trials show both, the value at the step where others were ended and the last one. They are
those that the pruner has liked, though, so a few that it would have ended are let through
(`let_through`): every tenth of them with 0.1, the fifth first.
"""

import math
import operator
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from statistics import median_low

from optuna.trial import FrozenTrial, TrialState

# Of a trial: the step from which on it was let through.
LET_THROUGH = "let_through"
# Of a trial: why it was ended before its end, and what the pruner's reason is called.
STOPPED, BY_PRUNER = "stopped", "pruner"
# With fewer complete trials a rank correlation says too little to warn of.
ENOUGH_TO_WARN = 10
ENOUGH_TO_TELL = 5
# Complete trials that are ranked, the last ones.
MOST_RANKED = 300
# One-sided, 5 %: below, the order may as well be chance.
CLEAR = 1.645
# Names of tau, from high to low.
ALIKE = ((0.6, "much like"), (0.3, "somewhat like"), (-1.0, "hardly like"))


@dataclass(frozen=True)
class PruningSafety:
    """What a study knows of its pruning."""

    # Trials that the pruner has ended, and the middle one's last step.
    ended: int
    step: int
    # Complete trials that have a value at that step.
    complete: int
    # Kendall's tau of their values at that step and at the end; None where they are too few.
    tau: float | None
    # Numbers of the complete trials that were let through, with their rank among all complete ones.
    let_through: dict[int, int]
    # Chance that one of those ended would have come past the best, had each gained after its end
    # what some complete trial did, each of them as likely.
    chance: float

    @property
    def is_clear(self) -> bool:
        """Tell whether the order at the step is more than chance."""
        return self.tau is not None and is_clear(self.tau, self.complete)

    @property
    def has_lost_the_best(self) -> bool:
        """Tell whether a trial that the pruner would have ended is the best of all."""
        return 1 in self.let_through.values()

    @property
    def is_unsafe(self) -> bool:
        """Tell whether it is more likely than not that pruning does harm."""
        is_chance = self.complete >= ENOUGH_TO_WARN and self.tau is not None and not self.is_clear
        return is_chance or self.has_lost_the_best or self.chance > 0.5

    @property
    def alike(self) -> str:
        """Say in words how much the early order is like the last one."""
        tau = -1.0 if self.tau is None else self.tau
        return next(words for least, words in ALIKE if tau >= least)


def pruning_safety(trials: Sequence[FrozenTrial], maximize: bool) -> PruningSafety | None:
    """Return what trials tell of their pruning; None where nothing was pruned, or too few ended.

    Args:
        trials: of one study, by its first objective; interrupted ones left out.
        maximize: whether a higher value is better.
    """
    ended = [trial for trial in trials if was_ended_by_pruner(trial)]
    complete = [t for t in trials if t.state is TrialState.COMPLETE and t.intermediate_values]
    spared = [trial for trial in complete if LET_THROUGH in trial.user_attrs]
    steps = [max(trial.intermediate_values) for trial in ended]
    steps += [int(trial.user_attrs[LET_THROUGH]) for trial in spared]
    if not steps or len(complete) < ENOUGH_TO_TELL:
        return None
    sign = 1 if maximize else -1
    curves, lasts = _curves(complete, sign)
    step = median_low(steps)
    tau, count = _tau_at(step, curves, lasts)
    order = sorted(lasts, reverse=True)
    return PruningSafety(
        ended=len(ended),
        step=step,
        complete=count,
        tau=tau,
        let_through={t.number: order.index(sign * t.values[0]) + 1 for t in spared},
        chance=_chance(ended, sign, curves, lasts),
    )


def clear_from(trials: Sequence[FrozenTrial], maximize: bool) -> int | None:
    """Return the first step from which on the order of complete trials is clearly the last one.

    None where there is none before the last step.

    Args:
        trials: complete ones of one study.
        maximize: whether a higher value is better.
    """
    curves, lasts = _curves(trials, 1 if maximize else -1)
    found = None
    steps = sorted({step for curve in curves for step in curve}, reverse=True)
    # At the last step the order is that of the end, which says nothing.
    for step in steps[1:]:
        tau, count = _tau_at(step, curves, lasts)
        if tau is None or not is_clear(tau, count):
            break
        found = step
    return found


def was_ended_by_pruner(trial: FrozenTrial) -> bool:
    """Tell whether the pruner has ended a trial, and not a limit of time."""
    reason = trial.user_attrs.get(STOPPED, BY_PRUNER)
    is_pruned = trial.state is TrialState.PRUNED and reason == BY_PRUNER
    return is_pruned and bool(trial.intermediate_values)


def is_let_through(trials: Sequence[FrozenTrial], share: float) -> bool:
    """Tell whether the next trial that the pruner would end goes on.

    Of so many would-be ends the rounded share go on: with 0.1 the 5th, the 15th, the 25th.

    Args:
        trials: of the study.
        share: 0 to 1.
    """
    before = sum(LET_THROUGH in trial.user_attrs for trial in trials)
    decided = before + sum(was_ended_by_pruner(trial) for trial in trials) + 1
    return math.floor(share * decided + 0.5) > before


def kendall_tau(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return Kendall's tau-b (1945): 1 for the same order, -1 for the reverse; None without any."""
    agree = ties_one = ties_other = 0
    pairs = list(combinations(range(len(one)), 2))
    for i, j in pairs:
        by_one, by_other = _sign(one[i] - one[j]), _sign(other[i] - other[j])
        agree += by_one * by_other
        ties_one += not by_one
        ties_other += not by_other
    ordered = (len(pairs) - ties_one) * (len(pairs) - ties_other)
    return agree / math.sqrt(ordered) if ordered else None


def is_clear(tau: float, count: int) -> bool:
    """Tell whether a tau of so many is above what chance gives in 19 of 20 cases.

    By the normal distribution that it has without any relation, with variance
    2 (2 n + 5) / (9 n (n - 1)) (Kendall 1938).
    """
    spread = math.sqrt(2 * (2 * count + 5) / (9 * count * (count - 1)))
    return tau > CLEAR * spread


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _curves(
    complete: Sequence[FrozenTrial], sign: int
) -> tuple[list[dict[int, float]], list[float]]:
    """Return what complete trials reported, and their last values; higher is better."""
    curves = [
        {step: sign * value for step, value in trial.intermediate_values.items()}
        for trial in complete
    ]
    return curves, [sign * trial.values[0] for trial in complete]


def _tau_at(
    step: int, curves: Sequence[Mapping[int, float]], lasts: Sequence[float]
) -> tuple[float | None, int]:
    pairs = [(curve[step], end) for curve, end in zip(curves, lasts, strict=True) if step in curve]
    # Every pair of them is compared, and so many say it as well as all.
    pairs = pairs[-MOST_RANKED:]
    if len(pairs) < ENOUGH_TO_TELL:
        return None, len(pairs)
    return kendall_tau([early for early, _ in pairs], [end for _, end in pairs]), len(pairs)


def _chance(
    ended: Sequence[FrozenTrial],
    sign: int,
    curves: Sequence[Mapping[int, float]],
    lasts: Sequence[float],
) -> float:
    best, none_is_better = max(lasts), 1.0
    # Step -> what complete trials have gained from there, in order: every ended one is held against
    # all of them, which in a long study takes minutes one by one.
    gains: dict[int, list[float]] = {}
    for trial in ended:
        step = max(trial.intermediate_values)
        if step not in gains:
            of_step = (end - c[step] for c, end in zip(curves, lasts, strict=True) if step in c)
            # Nothing is gained where a value is none, as a comparison would say.
            gains[step] = sorted(-math.inf if math.isnan(gain) else gain for gain in of_step)
        if gains[step]:
            value = sign * trial.intermediate_values[step]
            no_better = bisect_right(gains[step], best, key=partial(operator.add, value))
            none_is_better *= no_better / len(gains[step])
    return 1 - none_is_better
