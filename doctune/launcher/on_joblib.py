"""Jobs of hydra-joblib-launcher, of which no more run at a time than joblib has processes.

With a single one joblib runs a job in the thread that asks for it. Hydra's state belongs to the
process, so of two such jobs at once one would report as the trial of the other.
"""

import os
from typing import Any

from doctune.launcher.job.family import descendants, end_all, words_of

# A part of the command line of joblib's own processes, and of none that only waits beside them.
WORKS = "popen_loky"


class JoblibJobs:
    """Runs the jobs of a joblib launcher, one at a time from each of several threads.

    Args:
        launcher: of hydra-joblib-launcher, set up.
    """

    def __init__(self, launcher: Any) -> None:
        self._launcher = launcher
        self.launch = launcher.launch

    @property
    def most(self) -> int:
        """Return how many jobs run at a time at most."""
        from joblib import effective_n_jobs

        return int(effective_n_jobs(self._launcher.joblib.get("n_jobs")))

    def close(self) -> None:
        """End joblib's processes; `launch` raises for the jobs that they ran."""
        mine = descendants(os.getpid())
        end_all(process for process in mine if WORKS in " ".join(words_of(process)))
