"""Jobs of a submitit launcher that serve many trials: as many of them as trials run or wait.

A trial is put into a mailbox and taken by whichever job is free. Jobs that end, as their time is
over or as they have had nothing to do, are replaced when there are more trials than jobs.
"""

import itertools
import threading
import time
import uuid
from collections import defaultdict
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn

from doctune.launcher.job.numbered import NumberedJobs
from doctune.launcher.job.run import JobContext
from doctune.launcher.slurm.mailbox import END, KEPT, OF, TRIAL, Mailbox, Trial
from doctune.launcher.slurm.scheduler import (
    SUBMIT_SECONDS,
    JobLostError,
    JobRefusedError,
    Scheduler,
    has_result,
    last_words,
    read,
)
from doctune.launcher.slurm.serving import CutOff, Serving
from doctune.launcher.slurm.states import OUT_OF_TIME, WAITING
from doctune.launcher.slurm.submission import JobTimeError

# How often the mailbox and the jobs are looked at, by whichever thread comes first, in seconds.
LOOK_SECONDS = 0.2
# Slurm's word for a job that had to make room for another one.
PREEMPTED = "PREEMPTED"


class ServedJobs(NumberedJobs):
    """Runs trials in jobs of a submitit launcher.

    `launch` raises a `JobLostError` where a job has ended without a result, a `JobTimeError` where
    the whole time of one was not enough, and a `JobRefusedError` where one cannot ever start.

    Args:
        launcher: of hydra-submitit-launcher, set up.

    Raises:
        UserError: this machine cannot hand jobs to Slurm.
    """

    def __init__(self, launcher: Any) -> None:
        super().__init__()
        self._scheduler = Scheduler(launcher)
        self._context = JobContext.capture(launcher)
        # What comes before the part that names a job.
        folder = str(launcher.params["submitit_folder"]).partition("%j")[0]
        self._mailbox = Mailbox(Path(folder).absolute() / f"trials-{uuid.uuid4().hex[:8]}")
        self._max_timeouts = int(launcher.params.get("max_num_timeout") or 0)
        # By their ids: all jobs, and those that are not over.
        self._jobs: dict[str, Any] = {}
        self._alive: dict[str, Any] = {}
        # Job -> how many trials have ended in it.
        self._served: dict[str, int] = defaultdict(int)
        # Trial -> the job that was submitted for it.
        self._kept: dict[int, str] = {}
        # Trials that run or wait.
        self._open: set[int] = set()
        # Held by whoever submits or looks after jobs.
        self._keeping = threading.Lock()
        self._kept_at = 0.0
        self._looking = threading.Lock()
        self._looked_at = 0.0
        self._places: dict[int, str] = {}

    def waits(self, number: int) -> bool:
        """Ask now whether a trial waits; one that is not handed over yet does."""
        return self._look(now=True).get(number, TRIAL) in (TRIAL, KEPT)

    def cancel(self, number: int) -> None:
        """Take a trial back, or end the job that runs it; its `launch` raises."""
        self._cancelled.add(number)
        while not self._mailbox.withdraw(number):
            place = self._look(now=True).get(number, END)
            job = self._alive.get(place.removeprefix(OF))
            if place not in (TRIAL, KEPT):
                if job is not None:
                    self._scheduler.end([job])
                return
        self._end_surplus()

    def _end_surplus(self) -> None:
        """End jobs that wait in the queue without a trial to wait for."""
        with self._keeping:
            wanted = len(self._open - self._cancelled)
            waiting = [
                job
                for job in self._alive.values()
                if self._scheduler.state(job, now=True) in WAITING
            ]
            surplus = waiting[: max(0, len(self._alive) - wanted)]
            for job in surplus:
                del self._alive[job.job_id]
            self._scheduler.end(surplus)

    def close(self) -> None:
        """End all jobs, those that wait among them."""
        self._closed.set()
        # Whoever hands a job over now tells of it first, or it would stay in the queue.
        is_held = self._keeping.acquire(timeout=SUBMIT_SECONDS)
        try:
            if self._alive:
                self._scheduler.end(list(self._alive.values()))
            self._alive.clear()
        finally:
            if is_held:
                self._keeping.release()
        self._mailbox.close()

    def _run(self, overrides: list[str], number: int) -> JobReturn:
        trial = Trial(number, overrides)
        self._check_wanted(number)
        self._mailbox.open()
        self._mailbox.post(trial)
        self._open.add(number)
        try:
            for whole_times in itertools.count(1):
                came = self._wait(number)
                while isinstance(came, CutOff) and not (came.at_limit and came.is_first):
                    self._give_again(trial, own=came.at_limit)
                    came = self._wait(number)
                if not isinstance(came, CutOff):
                    job: JobReturn = came
                    return job
                if whole_times > self._max_timeouts:
                    raise JobTimeError(self._scheduler.minutes)
                self._give_again(trial, own=True)
            raise AssertionError
        finally:
            self._open.discard(number)
            if not self._closed.is_set():
                self._mailbox.remove(number)
            self._began.pop(number, None)
            self._kept.pop(number, None)
            self._cancelled.discard(number)

    def _give_again(self, trial: Trial, *, own: bool) -> None:
        """Put a trial back whose job has ended; one of long trials gets a job from its start."""
        with self._keeping:
            self._check_wanted(trial.number)
            self._mailbox.post(trial, kept=own)
            self._began.pop(trial.number, None)
            if own:
                self._kept[trial.number] = self._submit(trial.number)
        self._look(now=True)

    def _wait(self, number: int) -> Any:
        """Wait for what comes of a trial."""
        while True:
            self._check_wanted(number)
            place = self._look().get(number)
            if place == END:
                job_id, came = self._mailbox.read_end(number)
                self._served[job_id] += 1
                return came
            if place is not None and place.startswith(OF):
                lost = self._look_after(number, place.removeprefix(OF))
                if lost is not None:
                    return lost
            else:
                self._began.pop(number, None)
                self._keep_jobs()
                if place == KEPT and self._kept[number] not in self._alive:
                    raise JobLostError(f"job {self._kept[number]} ended before it began its trial")
            self._closed.wait(LOOK_SECONDS)

    def _look_after(self, number: int, job_id: str) -> CutOff | None:
        """Note that a trial runs; return what the end of its job means for it.

        Raises:
            JobLostError: it has ended, and nothing says why the trial should go on elsewhere.
        """
        job = self._jobs.get(job_id)
        if job is None:
            # It has begun before whoever submits it knows of it.
            return None
        state = self._scheduler.state(job)
        if state in WAITING:
            # Slurm starts it once more, and it begins with this trial.
            self._began.pop(number, None)
        elif not self._scheduler.is_over(state):
            # Whatever Slurm says: it has taken the trial.
            self._began.setdefault(number, time.monotonic())
        elif not self._ends_within(number, self._scheduler.result_seconds(state)):
            self._alive.pop(job_id, None)
            self._scheduler.forget(job)
            if state in OUT_OF_TIME or state == PREEMPTED:
                return CutOff(state in OUT_OF_TIME, is_first=self._served[job_id] == 0)
            raise JobLostError(f"job {job_id} ended without a result: {state}{last_words(job)}")
        return None

    def _ends_within(self, number: int, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while self._look(now=True).get(number) != END:
            if time.monotonic() > end:
                return False
            self._check_wanted(number)
            time.sleep(LOOK_SECONDS)
        return True

    def _look(self, *, now: bool = False) -> dict[int, str]:
        with self._looking:
            if now or time.monotonic() - self._looked_at >= LOOK_SECONDS:
                self._places = self._mailbox.places()
                self._looked_at = time.monotonic()
            return self._places

    def _keep_jobs(self) -> None:
        """See to it that there are as many jobs as trials, for one that waits.

        Raises:
            JobLostError: one has ended before it had served a trial.
            JobRefusedError: one cannot ever start.
        """
        with self._keeping:
            if self._closed.is_set() or time.monotonic() - self._kept_at < LOOK_SECONDS:
                return
            self._kept_at = time.monotonic()
            for job_id, job in list(self._alive.items()):
                self._check_job(job_id, job)
            for _ in range(len(self._open - self._cancelled) - len(self._alive)):
                self._submit()

    def _check_job(self, job_id: str, job: Any) -> None:
        reason = self._scheduler.why_never(job)
        if reason is not None:
            del self._alive[job_id]
            self._scheduler.end([job])
            raise JobRefusedError(reason)
        is_done = has_result(job)
        state = "" if is_done else self._scheduler.state(job)
        if not is_done and not self._scheduler.is_over(state):
            return
        if OF + job_id in self._look(now=True).values():
            # Told to whoever waits for the trial.
            return
        del self._alive[job_id]
        self._scheduler.forget(job)
        if has_result(job):
            # Raises where it has ended with an error.
            read(job)
        elif not self._served[job_id] and job_id not in self._kept.values():
            raise JobLostError(f"job {job_id} ended without a result: {state}{last_words(job)}")

    def _submit(self, first: int | None = None) -> str:
        """Have one more job begin, with a certain trial or with any; return its id."""
        serving = Serving(self._context, self._mailbox, self._scheduler.minutes, first)
        job = self._scheduler.submit(serving)
        self._jobs[job.job_id] = self._alive[job.job_id] = job
        return str(job.job_id)
