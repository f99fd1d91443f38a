"""Jobs of a scheduler that serve many trials, on submitit's own processes, and their mailbox."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus
from optuna.trial import TrialState

from doctune.launcher.job.run import JobContext
from doctune.launcher.slurm import served, serving
from doctune.launcher.slurm.mailbox import Mailbox, Trial
from doctune.launcher.slurm.scheduler import JobLostError, JobRefusedError
from doctune.launcher.slurm.served import ServedJobs
from doctune.launcher.slurm.serving import CutOff, Serving
from doctune.launcher.slurm.submission import JobTimeError
from doctune.sweeper.jobs import _submitted
from tests.doctune.engines import trials_in, until
from tests.doctune.launcher.test_submitted import beside
from tests.doctune.sweeper.in_process import Searches
from tests.doctune.sweeper.in_process import search as search
from tests.waiting import PATIENCE, wait_until

LOCAL = ("hydra/launcher=submitit_local", "hydra.sweeper.n_jobs=1")
# In an order that a seed has drawn once.
GRID = ("hydra/sweeper/sampler=grid", "hydra.sweeper.sampler.seed=1")


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    made = Mailbox(tmp_path / "box")
    made.open()
    return made


def test_a_trial_is_taken_by_one_job_and_its_end_is_read(mailbox: Mailbox) -> None:
    mailbox.post(Trial(7, ["x=1", "y='a b'"]))
    mailbox.post(Trial(10, []))
    taken = [mailbox.take("a"), mailbox.take("b"), mailbox.take("c")]
    assert taken == [Trial(7, ["x=1", "y='a b'"]), Trial(10, []), None]
    assert mailbox.places() == {7: "of-a", 10: "of-b"}
    mailbox.end(Trial(7, []), "a", 0.5)
    assert mailbox.places() == {7: "end", 10: "of-b"}
    assert mailbox.read_end(7) == ("a", 0.5)
    mailbox.remove(7)
    assert mailbox.places() == {10: "of-b"}


def test_a_kept_trial_is_for_its_job_alone(mailbox: Mailbox) -> None:
    mailbox.post(Trial(3, ["x=1"]), kept=True)
    assert mailbox.take("a") is None
    assert mailbox.take_kept("b", 4) is None
    assert mailbox.take_kept("b", 3) == Trial(3, ["x=1"])


def test_a_trial_is_withdrawn_while_it_waits(mailbox: Mailbox) -> None:
    mailbox.post(Trial(1, []))
    assert mailbox.withdraw(1)
    mailbox.post(Trial(2, []))
    mailbox.take("a")
    assert not mailbox.withdraw(2)
    mailbox.close()
    assert mailbox.places() == {}


def test_a_job_that_is_started_anew_begins_with_what_it_had(mailbox: Mailbox) -> None:
    mailbox.post(Trial(1, ["x=1"]))
    mailbox.post(Trial(2, []))
    mailbox.take("a")
    mailbox.take("b")
    assert mailbox.taken_before("a") == [Trial(1, ["x=1"])]
    assert mailbox.taken_before("c") == []


class Served:
    """A `Serving` in this process, whose trials take no time."""

    def __init__(self, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SUBMITIT_EXECUTOR", "local")
        monkeypatch.setenv("SUBMITIT_LOCAL_JOB_ID", "9")
        monkeypatch.setattr(serving, "IDLE_SECONDS", 0.0)
        monkeypatch.setattr("gc.freeze", lambda: None)
        self.mailbox = mailbox
        self.minutes = 100.0
        self.ran: list[int] = []
        self.seconds: dict[int, float] = {}
        self.signal_in: int | None = None

    def restore(self) -> "Served":
        return self

    def run_beside(self, _: list[str], number: int, job_id: str) -> JobReturn:
        assert job_id == "9"
        self.ran.append(number)
        if number == self.signal_in:
            os.kill(os.getpid(), signal.SIGUSR2)
        return JobReturn(status=JobStatus.COMPLETED, _return_value=0.5)

    def serve(self, first: int | None = None) -> int:
        before = signal.getsignal(signal.SIGUSR2)
        context: Any = self
        try:
            return Serving(context, self.mailbox, self.minutes, first)()
        finally:
            signal.signal(signal.SIGUSR2, before)


@pytest.fixture
def here(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> Served:
    for number in (1, 2, 3):
        mailbox.post(Trial(number, []))
    return Served(mailbox, monkeypatch)


def test_a_job_serves_until_there_is_nothing_to_do(here: Served) -> None:
    assert here.serve() == 3
    assert here.ran == [1, 2, 3]
    assert here.mailbox.read_end(2)[1]._return_value == 0.5


def test_a_job_begins_with_the_trial_that_it_was_submitted_for(here: Served) -> None:
    here.mailbox.post(Trial(2, []), kept=True)
    here.serve(first=2)
    assert here.ran == [2, 1, 3]


def test_a_job_without_time_for_another_trial_ends(
    here: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its trials take so long that the second one is not begun.
    clock = iter(range(0, 10**6, 2000))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(Serving, "_age", lambda _: 4500.0)
    assert here.serve() == 1
    assert here.mailbox.places() == {1: "end", 2: "trial", 3: "trial"}


@pytest.mark.parametrize(("age", "at_limit"), [(100 * 60 - 120, True), (60.0, False)])
def test_a_job_that_is_told_to_end_says_why(
    here: Served, monkeypatch: pytest.MonkeyPatch, age: float, at_limit: bool
) -> None:
    monkeypatch.setattr(Serving, "_age", lambda _: age)
    here.signal_in = 2
    assert here.serve() == 2
    assert here.mailbox.read_end(2) == ("9", CutOff(at_limit=at_limit, is_first=False))
    assert here.mailbox.places()[3] == "trial"


# As one job serves both trials of a real search in test_submitted, and a job that is lost is told
# and another submitted below.
@pytest.mark.thorough
def test_one_process_serves_many_trials_and_another_comes_when_it_dies(
    search: Searches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("doctune.launcher.slurm.scheduler.OTHERWISE", 0.5)
    words = ("hydra.sweeper.retries=0", "hydra.sweeper.max_failure_rate=1")
    faults = ("+x=1", "+fault=choice(killed,none,boolean)")
    # A key of the sweeper that is made of the app's, as apps have them.
    made = ("+on=true", "hydra.sweeper.enabled=${on}")
    done = search(*LOCAL, *GRID, *faults, *words, *made, "hydra.sweeper.n_trials=3")
    assert done.code == 0, done.said
    states = Counter(trial.state.name for trial in done.study.trials)
    assert states == {"COMPLETE": 2, "FAIL": 1}
    failed = [one for one in done.study.trials if one.state is TrialState.FAIL]
    assert all("ended without a result" in one.user_attrs["error"] for one in failed)
    # One that died, and one for what came after it.
    assert done.study.trials[-1].state is TrialState.COMPLETE
    assert len(list((done.folder / "sweep" / ".submitit").glob("[0-9]*"))) == 2
    # Nothing of the trials is left on their way.
    assert list((done.folder / "sweep" / ".submitit").glob("trials-*")) == []


# As the end of a job is told and a trial is given again below, each by itself.
@pytest.mark.thorough
def test_a_trial_that_is_cut_off_goes_on_in_a_job_of_its_own(
    search: Searches, tmp_path: Path
) -> None:
    def end_the_job() -> None:
        until(lambda: any(one.intermediate_values for one in trials_in(tmp_path)[1:]))
        os.kill(trials_in(tmp_path)[1].user_attrs["runner"]["pid"], signal.SIGUSR2)
        until(lambda: len(list(tmp_path.glob("sweep/.submitit/[0-9]*"))) == 2)
        time.sleep(0.1)

    with beside(tmp_path, end_the_job):
        gated = ("+x=1", "+steps=2", "+gate=gate", "+gate_at=choice(9,1)")
        words = ("hydra.launcher.timeout_min=5", "hydra.sweeper.n_trials=2")
        done = search(*LOCAL, *GRID, *gated, *words)
    assert done.code == 0, done.said
    first, second = done.study.trials
    assert (first.params["+gate_at"], second.params["+gate_at"]) == (9, 1)
    assert first.state is second.state is TrialState.COMPLETE
    assert first.user_attrs["runner"]["pid"] != second.user_attrs["runner"]["pid"]


def test_jobs_serve_trials_but_where_several_tasks_share_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module, name in (("served", "ServedJobs"), ("submitted", "SubmittedJobs")):
        monkeypatch.setattr(f"doctune.launcher.slurm.{module}.{name}", lambda _, name=name: name)

    def jobs(**params: int | None) -> Any:
        return _submitted(SimpleNamespace(params={"nodes": 1, "tasks_per_node": 1, **params}))

    assert jobs() == jobs(tasks_per_node=None) == "ServedJobs"
    assert jobs(tasks_per_node=2) == jobs(nodes=2) == "SubmittedJobs"


@pytest.mark.thorough
def test_several_tasks_share_a_job_for_each_trial(search: Searches) -> None:
    words = ("hydra.launcher.tasks_per_node=2", "hydra.sweeper.n_trials=1")
    done = search(*LOCAL, "+x=choice(1.0)", *words)
    assert done.code == 0, done.said
    assert [trial.value for trial in done.study.trials] == [0.0]
    # Of each task.
    assert len(list((done.folder / "sweep" / ".submitit").glob("*/*_log.out"))) == 2


class Scheduled:
    """A scheduler whose jobs are in the state that a test says."""

    minutes = 100.0

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.states: dict[str, str] = {}
        self.ended: list[str] = []
        self.refuses = ""

    def submit(self, function: Any) -> Any:
        job_id = str(len(self.states) + 1)
        self.states[job_id] = "PENDING"
        paths = SimpleNamespace(
            folder=self._folder,
            result_pickle=self._folder / "none",
            stderr=Path("e"),
            stdout=Path("o"),
        )
        return SimpleNamespace(job_id=job_id, paths=paths)

    def state(self, job: Any, *, now: bool = False) -> str:
        return self.states[job.job_id]

    def is_over(self, state: str) -> bool:
        return state not in ("PENDING", "RUNNING")

    def result_seconds(self, state: str) -> float:
        return 0.0

    def why_never(self, job: Any) -> str | None:
        return self.refuses or None

    def forget(self, job: Any) -> None:
        pass

    def end(self, jobs: Any) -> None:
        self.ended += [job.job_id for job in jobs]


@dataclass
class Launching:
    """A trial that was launched in a thread, with a scheduler of this process."""

    jobs: ServedJobs
    scheduler: Scheduled
    future: "Future[Any]"

    @property
    def mailbox(self) -> Mailbox:
        return self.jobs._mailbox

    def until(self, place: str) -> None:
        wait_until(lambda: self.mailbox.places() == {0: place})

    def runs_in(self, job_id: str) -> None:
        """Let a job take the trial."""
        self.scheduler.states[job_id] = "RUNNING"
        assert (self.mailbox.take(job_id) or self.mailbox.take_kept(job_id, 0)) is not None
        wait_until(lambda: self.jobs.began(0) is not None)

    def ends_in(self, job_id: str) -> None:
        came = JobReturn(status=JobStatus.COMPLETED, _return_value=0.5)
        self.mailbox.end(Trial(0, []), job_id, came)
        assert self.future.result(timeout=PATIENCE)[0]._return_value == 0.5


@pytest.fixture
def launching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Launching]:
    scheduler = Scheduled(tmp_path)
    monkeypatch.setattr(served, "Scheduler", lambda _: scheduler)
    monkeypatch.setattr(JobContext, "capture", lambda *_: None)
    params = {"submitit_folder": f"{tmp_path}/%j", "max_num_timeout": 1}
    given = SimpleNamespace(params=params, hydra_context=None, task_function=None, config=None)
    jobs = ServedJobs(given)
    with ThreadPoolExecutor(1) as pool:
        made = Launching(jobs, scheduler, pool.submit(jobs.launch, [["x=1"]], 0))
        made.until("trial")
        wait_until(lambda: bool(scheduler.states))
        yield made
        jobs.close()


def test_a_preempted_trial_goes_on_in_another_job(launching: Launching) -> None:
    launching.runs_in("1")
    launching.scheduler.states["1"] = "PREEMPTED"
    launching.until("trial")
    assert launching.jobs.waits(0)
    wait_until(lambda: "2" in launching.scheduler.states)
    launching.runs_in("2")
    launching.ends_in("2")


def test_a_trial_may_take_the_whole_time_of_as_many_jobs_as_were_allowed(
    launching: Launching,
) -> None:
    launching.runs_in("1")
    launching.scheduler.states["1"] = "TIMEOUT"
    launching.until("kept")
    launching.runs_in("2")
    launching.mailbox.end(Trial(0, []), "2", CutOff(at_limit=True, is_first=True))
    with pytest.raises(JobTimeError, match="timeout_min=100"):
        launching.future.result(timeout=PATIENCE)


def test_the_loss_of_the_job_that_a_trial_was_kept_for_is_told(launching: Launching) -> None:
    launching.runs_in("1")
    launching.scheduler.states["1"] = "TIMEOUT"
    launching.until("kept")
    launching.scheduler.states |= {"1": "TIMEOUT", "2": "CANCELLED"}
    with pytest.raises(JobLostError, match="job 2 ended before it began its trial"):
        launching.future.result(timeout=PATIENCE)


def test_a_trial_that_runs_is_not_hurt_by_the_loss_of_another_job(launching: Launching) -> None:
    launching.runs_in("1")
    other = ThreadPoolExecutor(1).submit(launching.jobs.launch, [["x=2"]], 1)
    wait_until(lambda: "2" in launching.scheduler.states)
    launching.scheduler.states["2"] = "CANCELLED"
    with pytest.raises(JobLostError, match="job 2 ended without a result: CANCELLED"):
        other.result(timeout=PATIENCE)
    launching.ends_in("1")


@pytest.mark.parametrize("runs", [True, False], ids=["running", "waiting"])
def test_a_job_that_is_lost_with_a_trial_or_before_any_is_told(
    launching: Launching, runs: bool
) -> None:
    if runs:
        launching.runs_in("1")
    launching.scheduler.states["1"] = "NODE_FAIL"
    with pytest.raises(JobLostError, match="job 1 ended without a result: NODE_FAIL"):
        launching.future.result(timeout=PATIENCE)


def test_a_job_that_can_never_start_ends_its_trial(launching: Launching) -> None:
    launching.scheduler.refuses = "BadConstraints"
    with pytest.raises(JobRefusedError, match="BadConstraints"):
        launching.future.result(timeout=PATIENCE)
    assert launching.scheduler.ended == ["1"]


@pytest.mark.parametrize("runs", [True, False], ids=["running", "waiting"])
def test_a_cancelled_trial_ends_the_job_that_runs_or_waits_for_it(
    launching: Launching, runs: bool
) -> None:
    if runs:
        launching.runs_in("1")
    launching.jobs.cancel(0)
    assert launching.scheduler.ended == ["1"]
    with pytest.raises(CancelledError):
        launching.future.result(timeout=PATIENCE)
