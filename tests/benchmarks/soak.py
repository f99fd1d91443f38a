"""A search that is killed again and again: what is lost, repeated or overwritten.

python -m tests.benchmarks.soak [KILLS [SEED [STORAGE]]]

The same sweep is started, killed with SIGKILL at a random moment (its main process, a worker and
then the main process, or all at once) and started again, on SQLite or on a PostgreSQL server that
is started for it. Trials take 0.2 s, so that every kill meets some, and a sweep that completes
between two kills is extended.
"""

import contextlib
import sys
import tempfile
import time
from pathlib import Path

from tests.doctune.conftest import STORAGES
from tests.doctune.killing import KINDS, Victim, kinds
from tests.doctune.postgresql import new_database, server

KILLS = 200


def main(n_kills: int = KILLS, seed: int = 0, storage: str = "sqlite") -> None:
    """Kill, and print what became of the trials; fails where it should not be so."""
    if storage not in STORAGES:
        sys.exit(f"{storage}: no such storage; there are {', '.join(STORAGES)}")
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        url = f"sqlite:///{Path(folder) / 'optuna.db'}"
        if storage == "postgresql":
            url = new_database(stack.enter_context(server()))
        victim = Victim(Path(folder), url, seed, n_trials=8)
        for number, kind in enumerate(kinds(seed, n_kills)):
            victim.kill_once(kind)
            if sys.stderr.isatty():
                print(f"\r{number + 1}/{n_kills} kills", end="", file=sys.stderr, flush=True)
        victim.finish()
        victim.check_complete()
        tally = victim.tally()
        folders = len(list((Path(folder) / "sweep").glob("[0-9]*")))
        interrupted = len(victim.trials()) - tally.finished
    minutes = (time.monotonic() - started) / 60
    told = ", ".join(f"{victim.kills[kind]} {kind}" for kind in KINDS)
    print(
        f"\n{victim.kills.total()} kills ({told}) in {minutes:.1f} minutes, {storage}, seed {seed}"
    )
    for name, count in (
        ("trials finished", tally.finished),
        ("asked for", victim.n_trials),
        ("interrupted, run again", interrupted),
        ("folders", folders),
        ("lost", tally.lost),
        ("repeated", tally.repeated),
        ("overwritten", tally.overwritten),
    ):
        print(f"{name:24}{count:6}", flush=True)


if __name__ == "__main__":
    given = [*sys.argv[1:], *(str(KILLS), "0", "sqlite")[len(sys.argv) - 1 :]]
    main(int(given[0]), int(given[1]), given[2])
