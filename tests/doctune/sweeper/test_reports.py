"""What users of Hydra's sweepers and of Optuna report of what they type, with what is right.

Each row names where the like was reported, in the repositories `hydra-ecosystem/hydra` (h) and
`optuna/optuna` (o); the others came up in our own trials.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hydra.core.config_store import ConfigStore

from doctune.sweeper.loop import OUR_NAMES
from tests.doctune.sweeper.in_process import Searches
from tests.doctune.sweeper.in_process import search as search

ONE = "hydra.sweeper.n_trials=1"
X = "+x=interval(-5.0,5.0)"


# An app's own keys; `defaults` means something to Hydra.
KEYS = sorted(OUR_NAMES - {"defaults"})
ConfigStore.instance().store(name="our_names", node=dict.fromkeys(KEYS, 0))


@dataclass
class Row:
    """A search that is typed, and what comes of it."""

    words: tuple[str, ...]
    code: int = 0
    # Values of the trials that ended with one, in any order; None: not looked at.
    values: list[float] | None = None
    states: dict[str, int] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    folders: int | None = None


ROWS = {
    # h 1974: it ran one at a time, and said nothing.
    "n_jobs without a launcher that can": Row(
        ("+x=1,2", ONE, "hydra.sweeper.n_jobs=2"),
        said=("runs one trial at a time, not 2", "hydra/launcher=workers runs more"),
    ),
    "no number at all": Row(("+x=1,2", ONE), states={"COMPLETE": 1}),
    # h 2047
    "a direction by half its name": Row(
        ("+x=1,2", ONE, "hydra.sweeper.direction=max"),
        code=1,
        said=("hydra.sweeper.direction=max: unknown; known are minimize, maximize",),
    ),
    "one of two directions wrong": Row(
        ("+x=1,2", ONE, "hydra.sweeper.direction=[maximize,maximise]"),
        code=1,
        said=("direction=maximise: unknown; did you mean maximize?",),
    ),
    # h 1929, h 1986
    "null among the choices": Row(
        ("+x=null,2", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=2"),
        values=[-1.0, -1.0],
        states={"COMPLETE": 2},
    ),
    "texts that look like numbers": Row(
        ("+x=choice('2','3')", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=2"),
        values=[-1.0, -4.0],
    ),
    "a list as a choice": Row(
        ("+x=1", "+layers=[1,2],[3]", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=2"),
        states={"COMPLETE": 2},
    ),
    # The stock sweeper's own test does that.
    "nothing to search": Row(
        ("+x=2", "hydra.sweeper.n_trials=3"),
        values=[-1.0, -1.0, -1.0],
        states={"COMPLETE": 3},
        folders=3,
    ),
    "keys of the app with our own names": Row(
        (
            *("+x=2", "+y=choice(0)", "hydra.sweeper.n_trials=4", "hydra.sweeper.timeout=99"),
            *("--config-name=our_names", *(f"{name}=1" for name in KEYS)),
        ),
        values=[-1.0] * 4,
        states={"COMPLETE": 4},
        # Twins are reused.
        folders=1,
    ),
    "a grid over an interval": Row(
        (X, ONE, "hydra/sweeper/sampler=grid"),
        code=1,
        said=("sampler=grid: +x is searched in -5..5", "+x=0.1,0.2"),
    ),
    "a sampler without its package": Row(
        (X, ONE, "hydra/sweeper/sampler=cmaes"), code=1, said=("pip install cmaes",)
    ),
    "a sampler that is gone": Row(
        (X, ONE, "hydra/sweeper/sampler=motpe"), code=1, said=("sampler=tpe",)
    ),
    "a sampler with a wrong value": Row(
        (X, ONE, "hydra/sweeper/sampler=nsgaii", "hydra.sweeper.sampler.population_size=0"),
        code=1,
        said=("hydra.sweeper.sampler: ",),
    ),
    "a pruner with a wrong value": Row(
        (
            *(X, ONE),
            "+hydra.sweeper.pruner={_target_: optuna.pruners.PercentilePruner, percentile: 200}",
        ),
        code=1,
        said=("hydra.sweeper.pruner: ",),
    ),
    "no trials": Row((X, "hydra.sweeper.n_trials=0"), code=1, said=("n_trials: 0 is below 1",)),
    "no workers": Row(
        (X, ONE, "hydra/launcher=workers", "hydra.launcher.n_workers=0"),
        code=1,
        said=("hydra.launcher.n_workers=0",),
    ),
    "a storage that never was": Row(
        (X, ONE, "hydra.sweeper.storage=sqlite:////proc/x.db"),
        code=1,
        said=("hydra.sweeper.storage=sqlite:////proc/x.db: it cannot be made",),
    ),
    "a folder below a file": Row(
        (X, ONE, "hydra.sweep.dir=/dev/null/sweep"),
        code=1,
        said=("Not a directory; mend it, or take another folder with hydra.sweep.dir",),
    ),
    "a storage below a file": Row(
        (X, ONE, "hydra.sweeper.storage=sqlite:////dev/null/y/x.db"),
        code=1,
        said=("it cannot be made (Not a directory)",),
    ),
    "a journal that never was": Row(
        (X, ONE, "hydra.sweeper.storage=journal:////proc/x"), code=1, said=("cannot be made",)
    ),
    "a database without a driver": Row(
        (X, ONE, "hydra.sweeper.storage=nosuchdb://x"), code=1, said=("storage=nosuchdb://x",)
    ),
    # o 2151: nothing was complete, and the summary failed.
    "nothing but failures": Row(
        (X, "+fail=-99", "hydra.sweeper.n_trials=3", "hydra.sweeper.max_failure_rate=1"),
        states={"FAIL": 3},
    ),
    # h 3451
    "one value for two objectives": Row(
        (X, ONE, "hydra.sweeper.direction=[minimize,maximize]"),
        code=1,
        said=("the job returned",),
    ),
    # A relative folder, and jobs that each go into one of theirs.
    "jobs that change the folder": Row(
        (X, "hydra.sweeper.n_trials=3", "hydra.job.chdir=true"), states={"COMPLETE": 3}, folders=3
    ),
    "a name with spaces and quotes": Row(
        (X, "hydra.sweeper.n_trials=2", 'hydra.sweeper.study_name="it\'s 50 % x/y"'), folders=2
    ),
    "a job that sets up logging of its own": Row(
        ("+x=2", "+y=interval(0,1)", "+fault=logging", "hydra.sweeper.n_trials=3"),
        said=("| 3/3 finished",),
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_search_that_is_typed(search: Searches, tmp_path: Path, name: str) -> None:
    row = ROWS[name]
    done = search(*row.words)
    assert done.code == row.code, done.said
    assert "Traceback" not in done.said
    for words in row.said:
        assert words in done.said
    if row.code == 1 and "the job returned" not in row.said:
        # A line, and before anything is made.
        assert len(done.said.strip().splitlines()) <= 2
        assert not list(tmp_path.rglob("*.db"))
    if row.values is not None:
        found = [trial.value for trial in done.study.trials if trial.value is not None]
        assert sorted(found) == sorted(row.values)
    if row.states:
        assert Counter(trial.state.name for trial in done.study.trials) == row.states
    if row.folders is not None:
        assert len(list((tmp_path / "sweep").glob("[0-9]*/.hydra"))) == row.folders
    if row.code == 0:
        ended = [line for line in done.log.splitlines() if " search: trial " in line]
        assert len(ended) == int(ended[-1].split("/")[0].rpartition(" ")[2])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("hydra.sweeper.n_jobs=2",), None),
        (("hydra.launcher.n_workers=2",), None),
        ((), None),
        (("hydra.sweeper.n_jobs=2", "hydra.launcher.n_workers=3"), "2 of 3 workers are used"),
        (
            ("hydra.sweeper.n_jobs=3", "hydra.launcher.n_workers=2"),
            "runs 2 trials at a time, not 3 (hydra.sweeper.n_jobs)",
        ),
    ],
)
def test_one_number_says_how_many_trials_run(
    search: Searches, words: tuple[str, ...], told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def run(loop: Any) -> None:
        seen.append(loop._budget.n_jobs)

    monkeypatch.setattr("doctune.sweeper.sweeper.AsyncLoop.run", run)
    monkeypatch.setattr("doctune.launcher.workers.pool.WorkerPool.start", lambda _: None)
    done = search("hydra/launcher=workers", X, *words)
    assert done.code == 0, done.said
    assert seen == [2]
    assert ("workers are used" in done.said or "at a time" in done.said) == (told is not None)
    assert told is None or told in done.said


def test_the_log_of_a_search_has_what_the_screen_said(search: Searches) -> None:
    words = ("hydra.sweeper.n_trials=3", "+fail=2.5", "hydra.sweeper.max_failure_rate=1")
    done = search("+x=2,3", *words)
    said = [
        line for line in done.said.splitlines() if line.startswith(("trial ", "best ", "no trial "))
    ]
    logged = [
        line.partition(" search: ")[2] for line in done.log.splitlines() if " search: " in line
    ]
    assert len(said) == 4
    assert logged == said
