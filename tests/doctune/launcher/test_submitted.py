"""Searches on a real Slurm of one node, without accounts, and on submitit's own processes."""

import contextlib
import math
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from optuna.trial import TrialState
from sqlalchemy import make_url

from doctune.study.budget import Budget
from doctune.study.study import was_interrupted
from tests.doctune.conftest import load_study
from tests.doctune.engines import Start, reported, trials_in, until
from tests.doctune.engines import start as start
from tests.doctune.slurm.cluster import running, waiting
from tests.doctune.slurm.cluster import slurm as slurm
from tests.doctune.sweeper.in_process import Searches
from tests.doctune.sweeper.in_process import search as search
from tests.waiting import PATIENCE

SECRET = "s3cr3t"


@pytest.fixture
def on_slurm(
    slurm: str, search: Searches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Searches]:
    """Return a function that runs a search on Slurm from this process, and asks it often."""
    monkeypatch.setenv("SLURM_CONF", slurm)
    monkeypatch.setattr("doctune.launcher.slurm.states.ASK_SECONDS", 0.5)
    monkeypatch.setattr("doctune.launcher.slurm.scheduler.OTHERWISE", 0.5)
    yield search
    (tmp_path / "gate").touch()
    left = waiting() + running()
    if left:
        subprocess.run(["scancel", *left], check=False)


# Two steps; the second waits for the gate.
GATED = ("+steps=2", "+gate=gate", "+gate_at=1")
X = "+x=interval(-5.0,5.0)"
SLURM = ("hydra/launcher=submitit_slurm", X)


def one_core_is_taken() -> str:
    """Start a job beside those of a search, on one of the node's two cores; return its number."""
    asked = ["sbatch", "--parsable", "--ntasks=1", "--output=/dev/null", "--wrap", "sleep 600"]
    number = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    until(lambda: number in running())
    return number


@contextlib.contextmanager
def beside(folder: Path, action: Callable[[], None]) -> Iterator[None]:
    """Do something while a search runs; the gate is open afterwards, whatever came of it."""
    errors: list[BaseException] = []

    def do() -> None:
        try:
            action()
        except BaseException as error:
            errors.append(error)
        (folder / "gate").touch()

    thread = threading.Thread(target=do)
    thread.start()
    yield
    thread.join()
    if errors:
        raise errors[0]


# As test_stop has it of workers, test_served of jobs that run and that wait, and the job below that
# can never start is cancelled on Slurm.
@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param("submitit_slurm", marks=pytest.mark.thorough),
        pytest.param("submitit_local", marks=pytest.mark.thorough),
        pytest.param("joblib", marks=pytest.mark.thorough),
        pytest.param("ray", marks=pytest.mark.thorough),
    ],
)
def test_ctrl_c_ends_what_runs_and_what_waits(
    start: Start,
    tmp_path: Path,
    launcher: str,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if launcher == "ray":
        pytest.importorskip("ray")
    n_jobs, runs = 2, 2
    if launcher == "submitit_slurm":
        # The other of the node's two cores is somebody else's.
        monkeypatch.setenv("SLURM_CONF", request.getfixturevalue("slurm"))
        other, runs = one_core_is_taken(), 1
    search = start(
        launcher, X, *GATED, f"hydra.sweeper.n_jobs={n_jobs}", "hydra.sweeper.n_trials=8"
    )
    search.until(lambda: reported(tmp_path) == runs)
    if launcher == "submitit_slurm":
        search.until(lambda: len(waiting()) == 1)
    children = psutil.Process(search.process.pid).children(recursive=True)
    search.process.send_signal(signal.SIGINT)
    # The gate never opens.
    output = search.end(code=128 + signal.SIGINT)
    assert "run again next time" in output
    assert not psutil.wait_procs(children, timeout=PATIENCE)[1]
    states = [trial.state for trial in trials_in(tmp_path) if not was_interrupted(trial)]
    assert states == [TrialState.WAITING] * n_jobs
    if launcher == "submitit_slurm":
        assert waiting() + running() == [other]
        subprocess.run(["scancel", other], check=True)


# As test_served has it of a scheduler that says so, and test_slurm_states of what Slurm says.
@pytest.mark.thorough
def test_a_job_that_slurm_has_ended_is_told_with_its_state(
    on_slurm: Searches, tmp_path: Path
) -> None:
    def cancel_one() -> None:
        until(lambda: reported(tmp_path) == 1)
        subprocess.run(["scancel", *running()], check=True)
        # It is told, and tried again, without accounts that one could ask.
        until(lambda: len(trials_in(tmp_path)) == 2)

    with beside(tmp_path, cancel_one):
        done = on_slurm(*SLURM, *GATED, "hydra.sweeper.n_jobs=1", "hydra.sweeper.n_trials=1")
    assert done.code == 0, done.said
    assert Counter(trial.state.name for trial in done.study.trials) == {"COMPLETE": 1, "FAIL": 1}
    (lost,) = (trial for trial in done.study.trials if was_interrupted(trial))
    assert "ended without a result: CANCELLED" in lost.user_attrs["error"]
    assert f"trial {lost.number} runs again: JobLostError" in done.said
    assert "sacct" not in done.said + done.log


def test_a_job_that_can_never_start_is_told(on_slurm: Searches) -> None:
    # The partition allows an hour.
    done = on_slurm(*SLURM, "hydra.launcher.timeout_min=240", "hydra.sweeper.n_trials=1")
    assert done.code == 1
    assert "Slurm would never start the job: PartitionTimeLimit" in done.said
    assert waiting() == []


# As test_served has it of when a trial began, and until when it waits.
@pytest.mark.thorough
def test_a_trial_is_timed_from_the_start_of_its_job(
    on_slurm: Searches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = [math.inf]
    monkeypatch.setattr(Budget, "hangs", lambda _, began: began < opened[0])
    gate = tmp_path / "free"
    full = ["sbatch", "-n2", "--wrap", f"until [ -e {gate} ]; do sleep 0.1; done"]
    subprocess.run(full, check=True)

    def free() -> None:
        until(lambda: bool(trials_in(tmp_path)) and bool(waiting()))
        # The loop looks several times.
        time.sleep(1.0)
        opened[0] = time.monotonic()
        gate.touch()

    with beside(tmp_path, free):
        words = ("hydra.sweeper.n_trials=1", "hydra.sweeper.trial_timeout=60")
        done = on_slurm(*SLURM, *words)
    assert done.code == 0, done.said
    assert [trial.state for trial in done.study.trials] == [TrialState.COMPLETE]


# As Ctrl-C ends what waits above, and test_sweeper ends what runs when the time is over.
@pytest.mark.thorough
def test_what_still_waits_when_the_time_is_over_is_put_back(
    on_slurm: Searches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over: list[bool] = []
    monkeypatch.setattr(Budget, "time_is_over", property(lambda _: bool(over)))

    def end_the_time() -> None:
        until(lambda: reported(tmp_path) == 1 and len(waiting()) == 1)
        over.append(True)
        until(lambda: not waiting())

    one_core_is_taken()
    with beside(tmp_path, end_the_time):
        words = ("hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=8")
        done = on_slurm(*SLURM, *GATED, *words, "hydra.sweeper.timeout=3600")
    assert done.code == 0, done.said
    states = Counter(trial.state.name for trial in done.study.trials)
    assert states == {"COMPLETE": 1, "FAIL": 1, "WAITING": 1}
    assert "time is over" in done.said


# As test_served has it of a scheduler that says so, and test_telling of what becomes of a trial.
@pytest.mark.thorough
def test_a_job_at_its_time_limit_ends_as_pruned_or_says_what_to_raise(
    on_slurm: Searches, tmp_path: Path
) -> None:
    def reach_the_limit() -> None:
        until(lambda: reported(tmp_path) == 1 and len(running()) == 2)
        # The other one has not reported, but waits as well.
        log = "sweep/.submitit/*/*_log.out"
        until(lambda: len([1 for path in tmp_path.glob(log) if path.stat().st_size]) == 2)
        until(lambda: all("runner" in trial.user_attrs for trial in trials_in(tmp_path)))
        # What Slurm sends before a job's end.
        subprocess.run(["scancel", "--signal=USR2", *running()], check=True)
        until(lambda: all(trial.state.is_finished() for trial in trials_in(tmp_path)))

    with beside(tmp_path, reach_the_limit):
        done = on_slurm(
            *("hydra/launcher=submitit_slurm", "+x=1", "+steps=2", "+gate=gate"),
            *("+gate_at=choice(0,1)", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=2"),
            *("hydra.launcher.timeout_min=5", "hydra.sweeper.max_failure_rate=1"),
        )
    assert done.code == 0, done.said
    ended = {trial.params["+gate_at"]: trial for trial in done.study.trials}
    assert len(done.study.trials) == 2
    assert ended[1].state is TrialState.PRUNED
    assert ended[1].user_attrs["stopped"] == "job_time"
    assert ended[0].state is TrialState.FAIL
    assert "hydra.launcher.timeout_min=5; raise it" in ended[0].user_attrs["error"]


# As test_served has it of submitit's own processes; Slurm waits before it starts a job again.
@pytest.mark.thorough
def test_a_job_that_is_given_back_goes_on_as_the_same_trial(
    on_slurm: Searches, tmp_path: Path
) -> None:
    def give_back() -> None:
        until(lambda: reported(tmp_path) == 1)
        (first,) = running()
        subprocess.run(["scancel", "--signal=USR2", first], check=True)
        # Another one may have begun by then.
        until(lambda: first not in running())

    with beside(tmp_path, give_back):
        words = ("hydra.launcher.timeout_min=5", "hydra.launcher.max_num_timeout=1")
        done = on_slurm(*SLURM, *GATED, *words, "hydra.sweeper.n_trials=1")
    assert done.code == 0, done.said
    (trial,) = done.study.trials
    assert trial.state is TrialState.COMPLETE


def test_no_job_holds_the_password(on_slurm: Searches, tmp_path: Path, postgresql: str) -> None:
    # The server of the tests trusts everybody, whatever the password.
    url = make_url(postgresql).set(password=SECRET).render_as_string(hide_password=False)
    assert SECRET in url
    done = on_slurm(
        *("hydra/launcher=submitit_slurm", "+x=choice(0.0,1.0)", "hydra.sweeper.n_trials=2"),
        *("hydra/sweeper/sampler=grid", "hydra.sweeper.n_jobs=1"),
        *(f"hydra.sweeper.storage='{url}'", "hydra.sweeper.study_name=sweep"),
    )
    assert done.code == 0, done.said
    trials = load_study(postgresql).trials
    assert {trial.value for trial in trials} == {-1.0, 0.0}
    # One job has served both.
    assert len({trial.user_attrs["runner"]["pid"] for trial in trials}) == 1
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name.endswith("_submitted.pkl") for path in files)
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
