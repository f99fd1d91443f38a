"""However a job ends, and whatever it leaves running: its own trial alone ends so, and is told.

The letters name reports: `hydra-ecosystem/hydra` (h).
"""

import contextlib
import subprocess
import sys
from pathlib import Path

import optuna
import psutil
import pytest
from optuna.trial import TrialState

from doctune.study.budget import Budget
from tests.doctune.conftest import app_environment, load_study, sqlite
from tests.doctune.sweeper.in_process import OURS, Searches
from tests.doctune.sweeper.in_process import search as search

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
# Of a launcher with processes of its own.
KILLED = {"killed": "WorkerCrashedError: The worker died unexpectedly"}


def check_ends(study: optuna.Study) -> None:
    """Check that each fault has one trial, which ended as it should."""
    trials = {trial.params["+fault"]: trial for trial in study.trials}
    assert len(study.trials) == len(trials)
    for fault, trial in trials.items():
        expected = {**ENDS, **KILLED}[fault]
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


# As other launchers have it above, and test_on_ray of how often Ray may run a job.
@pytest.mark.thorough
def test_ray_launches_it_in_two_slots_at_once(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    # In a process of its own, which Ray ends where a job has ended with `sys.exit`.
    some = (*faults("exit", "none", "killed"), "hydra.sweeper.retries=0")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.doctune.app", "-m", *OURS, "hydra.sweeper.n_jobs=2"),
            *("hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2"),
            *("+hydra.launcher.ray.init.include_dashboard=false", *some),
        ],
        cwd=tmp_path,
        env={**app_environment(), "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    check_ends(load_study(sqlite(tmp_path)))
    # Ray itself would run it four times before anybody hears of it.
    (killed,) = (tmp_path / "sweep").glob("*/killed")
    assert killed.read_text() == "once\n"


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


def test_processes_of_a_trial_end_with_it_or_are_told(
    search: Searches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Once both trials have started theirs, whatever the machine's speed.
    children = tmp_path / "children"
    monkeypatch.setattr(
        Budget, "hangs", lambda *_: children.exists() and len(children.read_text().split()) == 4
    )
    done = search(
        *("hydra/launcher=workers", "hydra.sweeper.n_jobs=1", "+x=2"),
        *("+fault=choice(children,hanging_children)", "hydra/sweeper/sampler=grid"),
        # In the order of the choices.
        "hydra.sweeper.sampler.seed=1",
        *("hydra.sweeper.n_trials=2", "hydra.sweeper.max_failure_rate=1"),
        "hydra.sweeper.trial_timeout=600",
    )
    assert done.code == 0, done.said
    assert "has left processes that run on until the search ends: " in done.said
    assert "(sleep 600)" in done.said
    assert "killed" in done.said
    assert left_running(tmp_path) == []


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
