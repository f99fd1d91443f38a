"""When a search ends, and how long one trial may take."""

import time
from dataclasses import dataclass, field, fields

from doctune.study.keys import StudyKeys

# A trial that is over its time ends at its next report; one that does not report is killed when
# it has taken this much of its time.
HANGING = 1.5


@dataclass
class Budget(StudyKeys):
    """What a search may use up: its keys, for as many trials at a time as there is room for."""

    # A launcher may have room for fewer than were asked for.
    n_jobs: int = 1
    # By the monotonic clock, which nobody sets.
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, keys: StudyKeys, n_jobs: int) -> "Budget":
        """Return the budget of a search that begins now.

        Args:
            keys: those of the search; others that they come with are left out.
            n_jobs: trials that run at a time.
        """
        values = {key.name: getattr(keys, key.name) for key in fields(StudyKeys)}
        return cls(**{**values, "n_jobs": n_jobs})

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
