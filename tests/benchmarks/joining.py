"""How much faster a search becomes when a second process joins it in the middle:

python -m tests.benchmarks.joining [sqlite|postgresql]

Trials that sleep for a second, one at a time in each process, as on two machines. The first
process begins, the second one joins when a third of the trials have ended. Trials a second before
and after, by the times that the storage has of them: from a trial's end to that of another one.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import optuna

from doctune.study.storage import open_storage
from tests.doctune.postgresql import new_database, server

REPOSITORY = Path(__file__).parents[2]
TRIALS, ALONE, SECONDS = 45, 15, 1.0
PROMISED = 1.8


def main(kind: str = "sqlite") -> None:
    """Print both rates."""
    print(f"{kind}; load of the machine before: {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder, _storage(kind, folder) as url:
        first = _start(folder, url)
        while _ended(url) < ALONE:
            time.sleep(0.2)
        second = _start(folder, url, "hydra.sweeper.join=true")
        for process in (first, second):
            if process.wait() != 0:
                raise SystemExit("one of the two has failed")
        trials = _study(url).trials
    owners = [trial.user_attrs["owner"]["pid"] for trial in trials]
    joined = next(i for i, owner in enumerate(owners) if owner != owners[0])
    alone = _rate([trial for trial in trials if trial.number < joined])
    # Of both: from the second one's first end to the last but those that ran at the end.
    together = _rate(trials[joined:-1])
    print(f"alone {alone:.2f} trials/s, then together {together:.2f}: {together / alone:.2f} times")
    print(f"promised: {PROMISED}")


def _rate(trials: list[optuna.trial.FrozenTrial]) -> float:
    """Return trials a second."""
    ends = sorted(one.datetime_complete.timestamp() for one in trials if one.datetime_complete)
    return (len(ends) - 1) / (ends[-1] - ends[0])


def _start(folder: str, url: str, *words: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.benchmarks.app", "-m", "hydra/sweeper=optuna_async"),
            *("hydra/launcher=workers", "hydra.sweeper.n_jobs=1", "hydra.sweep.dir=sweep"),
            *(f"hydra.sweeper.n_trials={TRIALS}", f"+seconds=[{SECONDS}]", "+x=interval(-1.0,1.0)"),
            *(f"hydra.sweeper.storage='{url}'", "hydra.sweeper.study_name=joined", *words),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.DEVNULL,
    )


def _study(url: str) -> optuna.Study:
    return optuna.load_study(study_name="joined", storage=open_storage(url))


def _ended(url: str) -> int:
    try:
        trials = _study(url).get_trials(deepcopy=False)
    except KeyError:
        return 0
    return sum(trial.state.is_finished() for trial in trials)


@contextlib.contextmanager
def _storage(kind: str, folder: str) -> Iterator[str]:
    if kind == "postgresql":
        with server() as url:
            yield new_database(url)
    else:
        yield f"sqlite:///{folder}/study.db"


if __name__ == "__main__":
    main(*sys.argv[1:])
