"""The keys of a search: typed, with a comment and a range each, in this place alone.

The sweeper's config and an app's node of such keys (`optuna` of `conf/train.yaml`) are built on
`StudyKeys`; what reads a key takes it from there. So a new key is a field here, and a line in the
YAML of an app that hands its own keys on.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from doctune.errors import UserError
from doctune.shown_keys import shown

LIMITS = "limits"


def limited(default: Any, low: float, high: float = math.inf) -> Any:
    """Return a dataclass's field that holds a number from `low` to `high`, or None for no limit."""
    return field(default=default, metadata={LIMITS: (low, high)})


@dataclass
class StudyKeys:
    """When a search ends, how many trials run at a time, and what a failed one means."""

    # false: no search, one job with the config as it stands.
    enabled: bool = True
    n_trials: int = limited(20, low=1)
    # Seconds for the whole search; no trial starts after them and those that run end at their next
    # report. null: as long as it takes.
    timeout: float | None = limited(None, low=0)
    # Seconds for one trial, from the start of its worker: over them it ends at its next report; one
    # that hangs is killed.
    trial_timeout: float | None = limited(None, low=0)
    # Trials at a time; null: as many as the launcher has workers, 2 where it does not say.
    n_jobs: int | None = limited(None, low=1)
    # The search ends once ten more trials are expected to gain less than this, in the unit of the
    # objective; null: never. What is expected follows from the best few so far.
    stop_when: float | None = limited(None, low=0)
    # How often a trial is tried again after a fault that may be gone then, such as a killed worker.
    retries: int = limited(1, low=0)
    # The search stops when more than this share of the last 10 trials failed.
    max_failure_rate: float = limited(0.0, low=0, high=1)
    # Whether a failed trial is one of the n_trials.
    count_failed: bool = True
    # Go on with a study although what makes its scores comparable has changed.
    accept_changes: bool = False
    # A study of the same storage, or a YAML file of parameters: a new study tries its best first.
    from_study: str | None = None
    from_study_trials: int = limited(5, low=1)


def check_limits(values: Mapping[str, Any], keys: type[StudyKeys] = StudyKeys) -> None:
    """Refuse a number that is out of its range.

    Args:
        values: by the names of the keys; those that have no limit are left alone.
        keys: has the limits.

    Raises:
        UserError: names the key as it is typed in this app, and the value.
    """
    for one in fields(keys):
        value = values[one.name] if LIMITS in one.metadata else None
        if value is None:
            continue
        low, high = one.metadata[LIMITS]
        if math.isnan(value):
            raise UserError(f"{shown(one.name)}: {value} is no number to work with")
        if not low <= value <= high:
            side = f"above {high}" if value > high else f"below {low}"
            raise UserError(f"{shown(one.name)}: {value} is {side}")
