"""How long a search still takes, judged by what this run has finished."""

import time


class TimeLeft:
    """Counts from the start of this run.

    Args:
        n_trials: asked for, over all runs.
        deadline: seconds of the epoch at which the search ends in any case; None: never.
    """

    def __init__(self, n_trials: int, deadline: float | None) -> None:
        self._n_trials = n_trials
        self._deadline = deadline
        self.start(0)

    def start(self, done: int) -> None:
        """Begin to count, with `done` trials finished by earlier runs."""
        self._started = time.monotonic()
        self._done_before = done

    def after(self, done: int) -> str:
        """Return the time left as `1:05`, `?` before the first trial ends."""
        estimates = []
        fresh = done - self._done_before
        if fresh > 0:
            a_trial = (time.monotonic() - self._started) / fresh
            estimates.append(a_trial * max(0, self._n_trials - done))
        if self._deadline is not None:
            estimates.append(max(0.0, self._deadline - time.time()))
        if not estimates or (fresh <= 0 and self._deadline is None):
            return "?"
        return duration(min(estimates))


def duration(seconds: float) -> str:
    """Write seconds as `m:ss` or `h:mm:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
