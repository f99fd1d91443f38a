"""A search whose pages were scored under wear: both scores of its trials, side by side."""

from statistics import fmean

from optuna.trial import FrozenTrial

from doctune.words import counted, score
from src.before.objectives import as_clean
from src.data.wear_presets import KEY
from src.results.summary import Summary


def clean_score(trial: FrozenTrial) -> float | None:
    """Return the first objective on the pages as they are; None where it was not taken."""
    folds = trial.user_attrs.get("folds_clean")
    return fmean(folds) if folds else None


def clean_column(found: Summary) -> str | None:
    """Return what the tables' column of clean scores is called.

    None where there are no such scores, or where they are an objective and have a column.
    """
    name = as_clean(found.objectives[0])
    known = name in found.objectives or all(clean_score(trial) is None for trial in found.ranked)
    return None if known else name


def wear_sentence(found: Summary, chosen: FrozenTrial | None) -> str:
    """Say what the scores are taken under, and what clean pages would have chosen.

    Args:
        found: the summary of a study.
        chosen: the trial to train with.

    Returns:
        Nothing where pages were scored as they are.
    """
    scored = [trial for trial in found.ranked if clean_score(trial) is not None]
    if not found.wear or chosen is None or chosen not in scored:
        return ""
    order = max if found.maximize else min
    cleanest = order(scored, key=lambda trial: clean_score(trial) or 0.0)
    told = (
        f"Scores are of pages worn by {KEY}={found.wear}; on the same pages as they are trial "
        f"{chosen.number} has {score(clean_score(chosen) or 0.0)}"
    )
    if cleanest.number == chosen.number:
        return f"{told}, the best of {counted(len(scored), 'trial')} there too."
    theirs = score(clean_score(cleanest) or 0.0), score(cleanest.values[0])
    return (
        f"{told}. There trial {cleanest.number} is the best ({theirs[0]}), which has {theirs[1]} "
        "on the worn ones."
    )
