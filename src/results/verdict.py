"""The decision that a study leads to, in a headline and a few sentences."""

from dataclasses import dataclass

from src.results.summary import Summary


@dataclass(frozen=True)
class Verdict:
    """What the report opens with."""

    headline: str
    detail: str
    # How sure it is and how that was worked out; empty where there is nothing to be sure of.
    method: str = ""
    # good, unsure or none: the colour that it is shown in.
    tone: str = "none"


def verdict(found: Summary) -> Verdict:
    """Say what the search has found, as plainly as the figures allow."""
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
        return Verdict(f"{difference:+.4f} over the defaults", detail, tone="unsure")
    method = (
        f"95 % interval of the gain: {gain.low:+.4f} to {gain.high:+.4f}. From the differences on "
        f"{gain.pairs} folds, each trained twice, by the corrected resampled t-test (Nadeau & "
        f"Bengio 2003), which allows for the training images that folds share. With {gain.pairs} "
        "folds it is wide. The best trial was also picked because it scored highest, so its score "
        f"is a little too good: 'python -m src.confirm study={found.name}' measures it again with "
        "fresh seeds and folds, and on the test split."
    )
    if gain.is_clear and gain.mean > 0:
        return Verdict(f"Better than the defaults by {gain.mean:.4f}", detail, method, "good")
    return Verdict(
        "Perhaps better than the defaults",
        f"{detail} The gain of {gain.mean:+.4f} is within what folds differ by.",
        method,
        "unsure",
    )
