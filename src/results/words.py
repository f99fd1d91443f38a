"""How trials and values are written, the same in tables, files and the report."""

from typing import Any

from optuna.trial import FrozenTrial


def describe_score(trial: FrozenTrial) -> str:
    """Write a trial's score, and how far its folds lie apart."""
    score = ", ".join(f"{value:.4f}" for value in trial.values or [])
    folds = trial.user_attrs.get("folds") or []
    if len(folds) < 2:
        return f"score {score}"
    return f"score {score} (folds {', '.join(f'{fold:.3f}' for fold in folds)})"


def show(value: Any) -> str:
    """Write a parameter's value in a few digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
