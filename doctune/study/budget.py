"""When a search ends, and how long one trial may take."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from doctune.errors import UserError
from doctune.shown_keys import shown

# A trial that is over its time ends at its next report; one that does not report is killed when
# it has taken this much of its time.
HANGING = 1.5

# Name -> smallest and largest value that makes sense, of those keys of the study that are numbers.
LIMITS = {
    "n_trials": (1, math.inf),
    "n_jobs": (1, math.inf),
    "max_failure_rate": (0, 1),
    "timeout": (0, math.inf),
    "trial_timeout": (0, math.inf),
    "retries": (0, math.inf),
    "from_study_trials": (1, math.inf),
}


def check_limits(values: Mapping[str, float | None]) -> None:
    """Refuse a number that is out of its range.

    Args:
        values: of keys of the study; those that have no limit are left alone.

    Raises:
        UserError: names the key.
    """
    for name, (low, high) in LIMITS.items():
        if name in values:
            _check_limit(name, values[name], low, high)


def _check_limit(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        side = f"below {low}" if value < low else f"above {high}"
        raise UserError(f"{shown(name)}: {value} is {side}")


@dataclass
class Budget:
    """What a search may use up."""

    n_trials: int
    n_jobs: int
    # Seconds; None: no limit.
    timeout: float | None = None
    trial_timeout: float | None = None
    # Share of the last trials.
    max_failure_rate: float = 0.0
    # How often a trial is tried again after a fault that may be gone then.
    retries: int = 0
    # Whether a failed trial is one of the `n_trials`.
    count_failed: bool = True
    # By the monotonic clock, which nobody sets.
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float | None:
        """Return how long trials may still start; None: as long as it takes."""
        return None if self.timeout is None else self.started + self.timeout - time.monotonic()

    @property
    def time_is_over(self) -> bool:
        """Tell whether nothing starts any more."""
        left = self.seconds_left
        return left is not None and left <= 0

    def hangs(self, started: float) -> bool:
        """Tell whether a trial that started then, by the monotonic clock, has to be killed."""
        limit = self.trial_timeout
        return limit is not None and time.monotonic() - started > HANGING * limit
