"""Whether the next trial is asked for before there is room for it.

Asking takes tens of milliseconds, more in a long study, in which a worker has nothing to do. It is
not worth a word beside a trial of minutes, whose result the next proposal should know; beside one
of a second it is. So proposals are made ahead only where a worker would wait for long.
"""

import math
import statistics
from collections import deque

# Share of a trial's time that a worker may wait for the next one.
MOST = 0.05
# Of each kind so many are looked back on.
LOOK_BACK = 10


class Ahead:
    """Says how many trials are to be ready beyond those that run.

    Args:
        most: as many at a time as run; 0 where nobody would hold them.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._asking: deque[float] = deque(maxlen=LOOK_BACK)
        self._trials: deque[float] = deque(maxlen=LOOK_BACK)

    def asked(self, seconds: float) -> None:
        """Note how long it took to propose a trial and to tell the result of another one."""
        self._asking.append(seconds)

    def ended(self, seconds: float) -> None:
        """Note how long a trial has run."""
        self._trials.append(seconds)

    @property
    def count(self) -> int:
        """Return how many trials are to be ready now: none before the first has ended."""
        if not self._trials or not self._asking or not self._most:
            return 0
        trial = max(1e-9, statistics.median(self._trials))
        share = statistics.median(self._asking) / trial
        # A worker waits for the proposals of the others as well.
        return 0 if share <= MOST else min(self._most, math.ceil(self._most * share))
