"""How trials and values are written, the same in tables, files and the report."""

import re
from typing import Any

from optuna.trial import FrozenTrial

from doctune.words import counted as counted
from doctune.words import key_of

PASSWORD = re.compile(r"(://[^:/@\s]*):[^@\s]*@")


def describe_score(trial: FrozenTrial) -> str:
    """Write a trial's score, and how far its folds lie apart."""
    score = ", ".join(f"{value:.4f}" for value in trial.values or [])
    folds = trial.user_attrs.get("folds") or []
    if len(folds) < 2:
        return f"score {score}"
    return f"score {score} (folds {', '.join(f'{fold:.3f}' for fold in folds)})"


def score(value: float) -> str:
    """Write a score, or another objective such as seconds, in as many digits as it deserves."""
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.1f}"


def show(value: Any) -> str:
    """Write a parameter's value in a few digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def short(name: str) -> str:
    """Return the last part of a parameter's key, as it is known in tables: `lr` of `optimizer.lr`.

    What stands in brackets stays whole: `lr[a.b]` of `optimizer.lr[a.b]`.
    """
    key = key_of(name)
    return key.rsplit(".", 1)[-1] + name[len(key) :]


def duration(seconds: float) -> str:
    """Write a time in its two largest units, `1 h 05 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def without_password(text: str) -> str:
    """Hide the password of every address in a text."""
    return PASSWORD.sub(r"\1:***@", text)
