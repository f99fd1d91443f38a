"""What users of Hydra's sweepers, of Optuna and of launchers report, as rows with what is right.

Each row names where the like was reported, in the repositories `hydra-ecosystem/hydra` (h) and
`optuna/optuna` (o); the others came up in our own trials.
"""

import contextlib
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from doctune.study.lock import study_lock
from doctune.study.ownership import this_process
from doctune.study.queue import reserve
from doctune.study.storage import open_storage
from doctune.study.study import was_interrupted
from doctune.sweeper.loop import OUR_NAMES
from doctune.trial import RunningTrial
from tests.doctune.conftest import app_command, app_environment, load_study, sqlite
from tests.doctune.sweeper.in_process import OURS, Searches
from tests.doctune.sweeper.in_process import search as search
from tests.waiting import wait_until

ONE = "hydra.sweeper.n_trials=1"
X = "+x=interval(-5.0,5.0)"

# Fault -> the value of the trial, or what its error says.
ENDS: dict[str, float | str] = {
    "none": -1.0,
    # h 1513; with these two joblib and our own workers waited for ever.
    "exit": "JobEndedError: the job ended with sys.exit(3)",
    "exit_with_words": "JobEndedError: the job ended with sys.exit('the data are gone')",
    "interrupt": "JobEndedError: the job ended with KeyboardInterrupt",
    "cancelled": "JobEndedError: the job ended with NoError: by somebody",
    "two_parts": "3: cannot be made again",
    "exception": "RuntimeError: something is wrong",
    # h 3451, h 2225
    "no_number": "ValueError: the job returned NaN",
    "nothing": "ValueError: the job returned None, not 1 number(s)",
    "text": "ValueError: the job returned '0.5 or so', not 1 number(s)",
    "mapping": "ValueError: the job returned {'f1': 0.5}, not 1 number(s)",
    "list": "ValueError: the job returned [-0.5], not 1 number(s)",
    "lambda": "TypeError: the job returned a function, which cannot be sent to another process",
    "tensor": -0.5,
    "text_number": -0.25,
    "boolean": 1.0,
}


def check_ends(study: optuna.Study) -> None:
    """Check that each fault has one trial, which ended as it should."""
    trials = {trial.params["+fault"]: trial for trial in study.trials}
    assert len(study.trials) == len(trials)
    for fault, trial in trials.items():
        expected = ENDS[fault]
        if isinstance(expected, float):
            assert trial.value == expected, fault
        else:
            assert trial.state is TrialState.FAIL, fault
            assert expected in trial.user_attrs["error"]


def faults(*names: str) -> tuple[str, ...]:
    return (
        *(f"+fault=choice({','.join(names)})", "hydra/sweeper/sampler=grid"),
        *(f"hydra.sweeper.n_trials={len(names)}", "hydra.sweeper.max_failure_rate=1"),
    )


def test_a_job_may_end_as_it_likes(search: Searches) -> None:
    done = search(*faults(*ENDS))
    assert done.code == 0, done.said
    assert "Traceback" not in done.said
    check_ends(done.study)
    # Launchers of Hydra set up logging anew before and after each job; the log is whole.
    lines = [line for line in done.log.splitlines() if " INFO search: trial " in line]
    assert len(lines) == len(ENDS)
    assert "study sweep, 16 trials asked for" in done.log
    # What jobs log is in their own folders.
    assert "something is wrong" not in "".join(
        line for line in done.log.splitlines() if " search: " not in line
    )


@pytest.mark.parametrize(
    ("launcher", "words"),
    [
        ("workers", ("hydra.sweeper.n_jobs=1",)),
        ("joblib", ("hydra.launcher.n_jobs=1", "hydra.sweeper.n_jobs=1")),
        # A lost job is tried again after a while; one that has ended is not lost.
        ("submitit_local", ("hydra.sweeper.n_jobs=2",)),
    ],
)
def test_whatever_launches_it(search: Searches, launcher: str, words: tuple[str, ...]) -> None:
    some = ("none", "exit", "lambda", "two_parts") if launcher != "submitit_local" else ("exit",)
    done = search(f"hydra/launcher={launcher}", *words, *faults(*some))
    assert done.code == 0, done.said
    check_ends(done.study)
    assert len([line for line in done.log.splitlines() if " search: trial " in line]) == len(some)


def test_ray_launches_it(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    # In a process of its own, which Ray ends where a job has ended with `sys.exit`.
    some = faults("exit", "none")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.doctune.app", "-m", *OURS, "hydra.sweeper.n_jobs=1"),
            *("hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=1"),
            *("+hydra.launcher.ray.init.include_dashboard=false", *some),
        ],
        cwd=tmp_path,
        env={**app_environment(), "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    check_ends(load_study(sqlite(tmp_path)))


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


# What a study has been left with, what is typed next, and what comes of it: h 1407, h 1679, h 2647.
AGAIN: dict[str, tuple[tuple[str, ...], tuple[str, ...], int, str, int]] = {
    # o 2854
    "other choices": (("+x=1,2",), ("+x=1,2,3",), 1, "+x was searched in {1, 2}, now in", 1),
    "the same choices in another order": (("+x=1,2",), ("+x=2,1",), 1, "now in {2, 1}", 1),
    "a wider range": ((X,), ("+x=interval(-9.0,9.0)",), 0, "goes on: 1 of 2", 2),
    "a parameter more": (("+x=1,2",), ("+x=1,2", "+y=interval(0,1)"), 0, "2/2 finished", 2),
    "a parameter less": ((X, "+y=1,2"), (X,), 0, "2/2 finished", 2),
    "another sampler": ((X,), (X, "hydra/sweeper/sampler=random"), 0, "2/2 finished", 2),
    "another direction": ((X,), (X, "hydra.sweeper.direction=minimize"), 1, "go back", 1),
    "another storage": ((X,), (X, "hydra.sweeper.storage=sqlite:///y.db"), 1, "another study", 1),
    "a shorter search": ((X,), (X, "hydra.sweeper.n_trials=1"), 0, "has its 1 trial already", 1),
}


@pytest.mark.parametrize("name", AGAIN)
def test_a_search_that_goes_on(search: Searches, tmp_path: Path, name: str) -> None:
    first, then, code, said, trials = AGAIN[name]
    assert search(*first, ONE).code == 0
    again = search("hydra.sweeper.n_trials=2", *then)
    assert again.code == code, again.said
    assert said in again.said
    assert "Traceback" not in again.said
    assert len(load_study(sqlite(tmp_path)).trials) == trials


def test_a_study_of_the_stock_sweeper_goes_on(search: Searches, tmp_path: Path) -> None:
    words = (
        *("+x=1.0,2.0,3.0", "hydra.sweeper.study_name=sweep", "hydra.sweep.dir=sweep"),
        *(f"hydra.sweeper.storage={sqlite(tmp_path)}", "hydra.sweeper.direction=maximize"),
    )
    (tmp_path / "sweep").mkdir()
    stock = search(*words, "hydra.sweeper.n_trials=2", sweeper=("hydra/sweeper=optuna",))
    assert stock.code == 0, stock.said
    ours = search(*words, "hydra.sweeper.n_trials=5")
    assert "goes on: 2 of 5 trials are finished" in ours.said
    assert Counter(trial.state.name for trial in ours.study.trials) == {"COMPLETE": 5}


def test_searches_in_a_row_in_one_folder(search: Searches, tmp_path: Path) -> None:
    count = 8
    for number in range(1, count + 1):
        done = search(X, f"hydra.sweeper.n_trials={number}", "hydra.sweeper.sampler.seed=1")
        assert done.code == 0, done.said
    trials = done.study.trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * count
    assert len({trial.params["+x"] for trial in trials}) == count
    for trial in trials:
        overrides = OmegaConf.load(tmp_path / "sweep" / str(trial.number) / ".hydra/overrides.yaml")
        assert overrides[0] == f"+x={trial.params['+x']}"
    results = OmegaConf.load(tmp_path / "sweep" / "optimization_results.yaml")
    assert results.best_value == max(trial.values[0] for trial in trials)
    assert done.log.count(" search: trial ") == count


def test_points_of_a_grid_are_taken_once_over_several_starts(search: Searches) -> None:
    """o 5097: a search of all points could not go on once a trial had failed."""
    grid = ("+x=choice(-2,2,0,1)", "+fail=1.5", "hydra.sweeper.max_failure_rate=1")
    for number in (1, 2, 4, 9):
        done = search(*grid, "hydra/sweeper/sampler=grid", f"hydra.sweeper.n_trials={number}")
        assert done.code == 0, done.said
    assert sorted(trial.params["+x"] for trial in done.study.trials) == [-2, 0, 1, 2]


def test_trials_that_others_have_queued_come_first(search: Searches, tmp_path: Path) -> None:
    """As Optuna's dashboard and its command do: h 2793, o 2705."""
    (tmp_path / "sweep").mkdir()
    study = optuna.create_study(
        study_name="sweep", storage=open_storage(sqlite(tmp_path)), direction="maximize"
    )
    study.enqueue_trial({"+x": 1.25, "not searched": 3})
    study.enqueue_trial({"+x": 99.0})
    done = search(X, "hydra.sweeper.n_trials=3")
    assert done.code == 0, done.said
    # A value outside of the range is taken as well, as Optuna takes it.
    assert [trial.params for trial in done.study.trials[:2]] == [{"+x": 1.25}, {"+x": 99.0}]


def test_a_study_of_an_earlier_version_goes_on(search: Searches, tmp_path: Path) -> None:
    """With what that wrote into it, and trials that its process had in hand when it died."""
    (tmp_path / "sweep").mkdir()
    study = optuna.create_study(
        study_name="sweep", storage=open_storage(sqlite(tmp_path)), direction="maximize"
    )
    gone = {**this_process(), "pid": 2**22 + 1, "started": 1.0}
    study.set_user_attr("command", "python -m tests.doctune.app -m '+x=interval(-5.0,5.0)'")
    study.set_user_attr("folder", "sweep")
    study.set_user_attr("overrides", [X, "+y=0"])
    study.set_user_attr("choices", {})
    distribution = FloatDistribution(-5.0, 5.0)
    space = {
        "roots": [],
        "branches": [[[], ["+x"]]],
        "distributions": {"+x": optuna.distributions.distribution_to_json(distribution)},
        # Every key of the command line, whether or not it had choices.
        "as_typed": ["+x"],
    }
    study.set_user_attr("search_space", space)
    for state, value, attrs in (
        (TrialState.COMPLETE, -1.0, {"deadline": 1.0, "trial_deadline": 1.0}),
        (TrialState.RUNNING, None, {"curves": [[0.5]], "seconds_of_folds": 3.0}),
        (TrialState.FAIL, None, {"interrupted": True}),
        (TrialState.WAITING, None, {"continues": 2}),
    ):
        common = {"owner": gone, "worker": "cpu 0", "fixed": {"+y": "0"}, "+y": "0"}
        number = len(study.trials)
        queued = state is TrialState.WAITING
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=value,
                params={} if queued else {"+x": 2.0 + number},
                distributions={} if queued else {"+x": distribution},
                user_attrs={**({} if queued else common), **attrs},
                system_attrs={"fixed_params": {"+x": 4.0}} if queued else {},
            )
        )
    done = search(X, "+y=0", "hydra.sweeper.n_trials=4")
    assert done.code == 0, done.said
    assert "trials [1] were interrupted; they run again" in done.said
    real = [trial for trial in done.study.trials if not was_interrupted(trial)]
    assert [trial.state for trial in real] == [TrialState.COMPLETE] * 4
    assert {2.0, 3.0, 4.0} < {trial.params["+x"] for trial in real}
    # One that cannot be read by this version of Optuna is told, with the way out.
    with open_storage(sqlite(tmp_path)).engine.begin() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql("UPDATE version_info SET schema_version = 10")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'v2.6.0.a'")
    open_storage.cache_clear()
    old = search(X, "hydra.sweeper.n_trials=5")
    assert old.code == 1
    assert "optuna storage upgrade" in old.said
    assert "Traceback" not in old.said


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_a_storage_that_goes_away_for_a_while(
    search: Searches, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mounted folder, which others call NFS: o 815, o 4994."""
    monkeypatch.setattr("doctune.study.outage.PAUSE", 0.1)
    url = f"{kind}:///{tmp_path / 'mounted' / 'study'}"
    stored = f"hydra.sweeper.storage={url}"

    def back() -> None:
        wait_until((tmp_path / "away").exists, seconds=60)
        time.sleep(1.0)
        (tmp_path / "away").rename(tmp_path / "mounted")

    thread = threading.Thread(target=back)
    thread.start()
    words = ("+fault=choice(none,storage_away)", "+x=2", "hydra/sweeper/sampler=grid")
    done = search(*words, stored, "hydra.sweeper.n_trials=2")
    thread.join()
    assert done.code == 0, done.said
    assert "storage: it does not answer" in done.said
    assert "storage: it answers again" in done.said
    assert "Traceback" not in done.said
    study = optuna.load_study(study_name="sweep", storage=open_storage(url))
    assert [trial.value for trial in study.trials] == [-1.0, -1.0]


@pytest.mark.parametrize("jump", [86400.0, -86400.0])
def test_a_clock_that_jumps_ends_nothing(
    search: Searches, jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, report, reported = time.time, RunningTrial.report, list[int]()

    def reporting(trial: RunningTrial, value: float, step: int, progress: str = "") -> None:
        report(trial, value, step, progress)
        reported.append(step)

    # It jumps while the first trial runs, whatever the machine's speed.
    monkeypatch.setattr(RunningTrial, "report", reporting)
    monkeypatch.setattr("time.time", lambda: real() + (jump if reported else 0.0))
    limits = ("hydra.sweeper.timeout=600", "hydra.sweeper.trial_timeout=300")
    done = search(X, *limits, "hydra.sweeper.n_trials=3", "+steps=3", "+seconds=0.6")
    assert Counter(trial.state.name for trial in done.study.trials) == {"COMPLETE": 3}


def test_two_searches_at_once_in_one_new_storage(tmp_path: Path) -> None:
    """o 820, o 894: each its own study, both in a file that neither finds."""
    processes = []
    for name in ("one", "two"):
        words = [
            sys.executable,
            "-m",
            "tests.doctune.app",
            "-m",
            *OURS[:2],
            f"hydra.sweep.dir={name}",
        ]
        words += [X, "hydra.sweeper.n_trials=4", f"hydra.sweeper.study_name={name}"]
        words += ["hydra.sweeper.storage=sqlite:///both.db"]
        processes.append(
            subprocess.Popen(
                words,
                cwd=tmp_path,
                env=app_environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    for process in processes:
        output, _ = process.communicate(timeout=250)
        assert process.returncode == 0, output
    storage = open_storage(f"sqlite:///{tmp_path / 'both.db'}")
    for name in ("one", "two"):
        trials = optuna.load_study(study_name=name, storage=storage).trials
        assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4
        assert len(list((tmp_path / name).glob("[0-9]/.hydra"))) == 4


def take_the_queue(url: str, ready: Any, rounds: int, locked: bool, found: Any) -> None:
    """Take a queued trial in each round, at the same moment as another process."""
    storage = open_storage(url)
    study = optuna.load_study(study_name="s", storage=storage)
    for _ in range(rounds):
        ready.wait()
        with study_lock(url, storage, "s") if locked else contextlib.nullcontext():
            trial = reserve(study, this_process())
        found.put(trial.number)


@pytest.mark.parametrize("locked", [True, False])
def test_two_processes_never_take_the_same_queued_trial(tmp_path: Path, locked: bool) -> None:
    """On SQLite the lock alone sees to that: without it they do, in a third of the rounds."""
    url, rounds = f"sqlite:///{tmp_path / 'study.db'}", 40
    study = optuna.create_study(study_name="s", storage=open_storage(url))
    for number in range(2 * rounds):
        study.enqueue_trial({"x": number})
    context = multiprocessing.get_context("fork")
    open_storage(url).engine.dispose()  # type: ignore[attr-defined]
    open_storage.cache_clear()
    ready, found = context.Barrier(2), context.Queue()
    others = [
        context.Process(target=take_the_queue, args=(url, ready, rounds, locked, found))
        for _ in range(2)
    ]
    for process in others:
        process.start()
    taken = [found.get(timeout=250) for _ in range(2 * rounds)]
    for process in others:
        process.join(timeout=250)
        assert process.exitcode == 0
    assert (len(set(taken)) == 2 * rounds) is locked


def left_running(folder: Path) -> list[psutil.Process]:
    """Return which of the processes that jobs have started still run, a moment later."""
    found = []
    for pid in (folder / "children").read_text().split():
        with contextlib.suppress(psutil.NoSuchProcess):
            child = psutil.Process(int(pid))
            # Whoever is to take note of its end may take its time.
            if child.status() != psutil.STATUS_ZOMBIE and child.name() == "sleep":
                found.append(child)
    return psutil.wait_procs(found, timeout=3)[1]


def test_processes_of_a_trial_end_with_it_or_are_told(search: Searches, tmp_path: Path) -> None:
    done = search(
        *("hydra/launcher=workers", "hydra.sweeper.n_jobs=1", "+x=2"),
        *("+fault=choice(children,hanging_children)", "hydra/sweeper/sampler=grid"),
        *("hydra.sweeper.n_trials=2", "hydra.sweeper.max_failure_rate=1"),
        "hydra.sweeper.trial_timeout=3",
    )
    assert done.code == 0, done.said
    assert "has left processes that run on until the search ends: " in done.said
    assert "(sleep 600)" in done.said
    assert "killed" in done.said
    assert len((tmp_path / "children").read_text().split()) == 4
    assert left_running(tmp_path) == []


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
    done = search("hydra/launcher=workers", X, *words)
    assert done.code == 0, done.said
    assert seen == [2]
    assert ("workers are used" in done.said or "at a time" in done.said) == (told is not None)
    assert told is None or told in done.said


def without_shared_memory() -> list[str]:
    """Return the words that start a command where /dev/shm cannot be used."""
    hide = 'mount -t tmpfs -o size=0,ro,mode=000 none /dev/shm && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", hide, "sh"]


def can_unshare() -> bool:
    if os.name != "posix" or not shutil.which("unshare") or os.getuid() != 0:
        return False
    return subprocess.run([*without_shared_memory(), "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not can_unshare(), reason="takes root, and a kernel that lets it mount")
def test_without_shared_memory_workers_say_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [*without_shared_memory(), *app_command(X, ONE)],
        cwd=tmp_path,
        env=app_environment(),
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 1
    assert "/dev/shm" in done.stderr
    assert "--shm-size" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_user_without_a_home(tmp_path: Path) -> None:
    """As in containers that run under a number: no HOME, and no name either."""
    environment = app_environment()
    for name in ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        environment.pop(name, None)
    words = [sys.executable, "-m", "tests.doctune.app", "-m", *OURS, X, ONE]
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    assert "1/1 finished" in done.stdout


def test_a_terminal_of_forty_columns_in_the_c_locale(tmp_path: Path) -> None:
    """As over a serial line, or in a container that knows no language."""
    narrow = {"COLUMNS": "40", "LINES": "12", "LANG": "C", "LC_ALL": "C", "TERM": "dumb"}
    words = [sys.executable, "-m", "tests.doctune.app", "-m", *OURS, "+name='문서'", X, ONE]
    done = subprocess.run(
        words,
        cwd=tmp_path,
        env={**app_environment(), **narrow},
        capture_output=True,
        encoding="utf-8",
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    assert "1/1 finished" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_the_log_of_a_search_has_what_the_screen_said(search: Searches) -> None:
    words = ("hydra.sweeper.n_trials=3", "+fail=2.5", "hydra.sweeper.max_failure_rate=1")
    done = search("+x=2,3", *words)
    said = [line for line in done.said.splitlines() if line.startswith("trial ")]
    logged = [
        line.partition(" search: ")[2] for line in done.log.splitlines() if " search: " in line
    ]
    assert len(said) == 3
    assert logged == said


def test_numbers_of_numpy_can_be_reported(search: Searches) -> None:
    """As values and as steps, with one objective and with several."""
    for direction, words in (("maximize", ()), ("[minimize,minimize]", ("+two=1",))):
        done = search(
            *("+x=2", "+numpy=1", "+steps=3", *words, ONE),
            *(f"hydra.sweeper.direction={direction}", f"hydra.sweep.dir={direction[1]}"),
        )
        assert done.code == 0, done.said
        url = f"sqlite:///{done.folder / direction[1] / 'optuna.db'}"
        (trial,) = optuna.load_study(study_name=direction[1], storage=url).trials
        assert trial.intermediate_values == {0: -1.0, 1: -1.0, 2: -1.0}
