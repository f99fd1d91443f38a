"""When a search ends, and how long one trial may take."""

import time
from dataclasses import dataclass, field

from doctune.study.keys import StudyKeys

# A trial that is over its time ends at its next report; one that does not report is killed when
# it has taken this much of its time.
HANGING = 1.5


@dataclass
class Budget:
    """What a search may use up.

    Args:
        keys: what was asked for.
        n_jobs: trials that run at a time; a launcher may have room for fewer than were asked for.
        started: when, by the monotonic clock, which nobody sets.
    """

    keys: StudyKeys
    n_jobs: int
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float | None:
        """Return how long trials may still start; None: as long as it takes."""
        timeout = self.keys.timeout
        return None if timeout is None else self.started + timeout - time.monotonic()

    @property
    def time_is_over(self) -> bool:
        """Tell whether nothing starts any more."""
        left = self.seconds_left
        return left is not None and left <= 0

    def hangs(self, started: float) -> bool:
        """Tell whether a trial that started then, by the monotonic clock, has to be killed."""
        limit = self.keys.trial_timeout
        return limit is not None and time.monotonic() - started > HANGING * limit
