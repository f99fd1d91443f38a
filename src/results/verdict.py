"""The decision that a study leads to, in a headline and a few sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from src.results.confirmation.judge import Confirmation
from src.results.paired import PairedDifference
from src.results.summary import ENOUGH_FOLDS, Summary


@dataclass(frozen=True)
class Verdict:
    """What the report opens with."""

    headline: str
    detail: str
    # How sure it is and how that was worked out; empty where there is nothing to be sure of.
    method: str = ""
    # good, unsure or none: the colour that it is shown in.
    tone: str = "none"


def trial_to_train(found: Summary, confirmations: Sequence[Confirmation]) -> FrozenTrial | None:
    """Return the trial to train with: the best of the search.

    Where fresh runs have been made, the best of those instead, which may be the defaults.
    """
    for one in confirmations:
        if not one.other_data:
            number = one.winner.trial if one.winner.gain > 0 else one.defaults_trial
            return next((t for t in found.ranked if t.number == number), found.best)
    return found.best


def verdict(found: Summary, confirmations: Sequence[Confirmation] = ()) -> Verdict:
    """Say what the search has found, as plainly as the figures allow."""
    for one in confirmations:
        if not one.other_data:
            return _confirmed(one)
    best, defaults, gain = found.best, found.defaults, found.gain
    name = found.objectives[0]
    if best is None:
        state = "Trials are still running." if found.running else "No trial has run to the end."
        return Verdict("No result yet", state)
    score = f"{name.capitalize()} {best.values[0]:.4f} in trial {best.number}"
    if defaults is None:
        return Verdict(f"Best {name}: {best.values[0]:.4f}", f"{score}. The defaults did not run.")
    if best.number == defaults.number:
        return Verdict(
            "Nothing beats the defaults so far",
            f"The config's own values are the best of {len(found.ranked)} complete trials, with "
            f"{name} {best.values[0]:.4f}.",
            tone="unsure",
        )
    detail = f"{score}; the defaults have {defaults.values[0]:.4f} on the same folds."
    difference = best.values[0] - defaults.values[0]
    if gain is None:
        return Verdict(
            f"{difference:+.4f} over the defaults",
            detail,
            f"With fewer than {ENOUGH_FOLDS} folds nothing says how sure this is: 'python -m "
            f"src.confirm study={found.name}' measures it with fresh seeds and folds.",
            tone="unsure",
        )
    method = _from_folds(gain, found.name)
    if gain.is_clear and gain.mean > 0:
        return Verdict(f"Better than the defaults by {gain.mean:.4f}", detail, method, "good")
    return Verdict(
        "Perhaps better than the defaults",
        f"{detail} The gain of {gain.mean:+.4f} is within what folds differ by.",
        method,
        "unsure",
    )


def _from_folds(gain: PairedDifference, study: str) -> str:
    return (
        f"95 % interval of the gain: {gain.low:+.4f} to {gain.high:+.4f}. From the differences on "
        f"{gain.pairs} folds, each trained twice, by the corrected resampled t-test (Nadeau & "
        f"Bengio 2003), which allows for the training images that folds share. With {gain.pairs} "
        "folds it is wide. The best trial was also picked because it scored highest, so its score "
        f"is a little too good: 'python -m src.confirm study={study}' measures it again with "
        "fresh seeds and folds, and on the test split."
    )


def _confirmed(one: Confirmation) -> Verdict:
    best = one.winner
    method = (
        f"Confirmed with {one.pairs} pairs of fresh seeds and folds, {one.folds} folds of "
        f"{one.epochs} epochs each, by the corrected resampled t-test (Nadeau & Bengio 2003), "
        f"one-sided, corrected for {len(one.contenders)} configurations (Holm 1979)."
    )
    if best.holds:
        headline = f"Confirmed: better than the defaults by {best.gain:.4f}"
        return Verdict(headline, one.sentence, method, "good")
    return Verdict("Not confirmed", one.sentence, method, "unsure")
