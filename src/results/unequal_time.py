"""Whether trials under `quick_validation.seconds` did take the same time."""

from src.before.trial_length import NOTE, SECONDS
from src.results.summary import Summary

# A trial that took so many times as long, or as short, had another cost; whole epochs alone can
# make it 1.5 times.
UNEQUAL = 2.0
# From this share of the trials on it is told.
MANY = 0.2


def unequal_time(found: Summary) -> list[str]:
    """Say which trials had more or less time than the others, and what to do about it."""
    if not found.equal_seconds:
        return []
    asked = f"{SECONDS}={found.equal_seconds:g}"
    trials = [*found.ranked, *found.pruned]
    longer = [trial for trial in trials if trial.user_attrs.get(NOTE, {}).get("is_longer")]
    said = []
    if longer:
        said.append(
            f"{len(longer)} of {len(trials)} trials took longer than {asked}, as the least that a "
            "fold trains does not fit (quick_validation.min_steps, or one epoch): their scores had "
            "more time than the others'. Give more seconds in the next study."
        )
    took = [
        float(trial.user_attrs.get("train_seconds", found.equal_seconds))
        for trial in found.ranked
        if trial not in longer
    ]
    off = [s for s in took if not 1 / UNEQUAL <= s / found.equal_seconds <= UNEQUAL]
    if len(off) > MANY * len(took):
        said.append(
            f"{len(off)} of {len(took)} trials took from {min(off):.3g} to {max(off):.3g} s in "
            f"place of {asked}: what else the machine did has changed since each was measured, so "
            "they did not cost the same. Run fewer trials at a time (optuna.n_jobs), or give more "
            "seconds."
        )
    return said
