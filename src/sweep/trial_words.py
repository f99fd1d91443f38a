"""What the screen says of a trial, in a line or less."""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState


def counted(count: int, noun: str) -> str:
    """Return `1 trial` or `2 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def describe(params: Mapping[str, Any]) -> str:
    """Write parameters in one line, each by the last part of its key."""
    parts = []
    for key, value in params.items():
        shown = f"{value:.3g}" if isinstance(value, float) else str(value)
        parts.append(f"{key.rsplit('.', 1)[-1]}={shown}")
    return " ".join(parts)


def score(trial: FrozenTrial) -> str:
    """Write the value or values of a finished trial."""
    return ", ".join(f"{value:.4f}" for value in trial.values or [])


def outcome(trial: FrozenTrial) -> str:
    """Write what came of a trial: its score, where it was pruned, or why it failed."""
    if trial.state is TrialState.COMPLETE:
        return score(trial)
    if trial.state is TrialState.PRUNED:
        last = trial.intermediate_values.get(trial.last_step or 0)
        at = trial.user_attrs.get("progress", f"step {trial.last_step}")
        return f"at {at}" + (f" with {last:.4f}" if last is not None else "")
    return str(trial.user_attrs.get("error", ""))


def runs_again(trial: FrozenTrial) -> str:
    """Write why a trial was cut off and is tried again."""
    reason = trial.user_attrs.get("error", "it was interrupted")
    return f"trial {trial.number} runs again: {reason}"


def taken_over(trials: Sequence[FrozenTrial]) -> str:
    """Write which trials have lost their process."""
    numbers = [trial.number for trial in trials]
    return f"trials {numbers} were interrupted; they run again"


def waiting(trials: Sequence[FrozenTrial]) -> str:
    """Write whose trials are still awaited."""
    where = [
        f"{trial.number} ({trial.user_attrs.get('owner', {}).get('host', 'elsewhere')})"
        for trial in trials
    ]
    return (
        f"all trials are given out; waiting for {', '.join(where)}, should one be lost it runs "
        "here. Ctrl-C leaves them to the other process"
    )
