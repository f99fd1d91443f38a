"""Kills a real sweep again and again, and looks at what is left (also for the soak benchmark)."""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import optuna
import psutil
from optuna.trial import FrozenTrial, TrialState

from doctune.study.storage import open_storage
from doctune.study.study import finished, was_interrupted
from tests.doctune.conftest import app_command, app_environment
from tests.preloaded import WithItsWorkers
from tests.waiting import PATIENCE, wait_until

KINDS = ("main", "worker", "group")


@dataclass(frozen=True)
class Tally:
    """What became of the trials of a study."""

    finished: int
    # Interrupted, and no other trial goes on with its parameters.
    lost: int = 0
    # Ran to its end twice, or was queued again twice.
    repeated: int = 0
    # Met the folder of another one.
    overwritten: int = 0
    # Ended in another way than it should.
    failed: int = 0


@dataclass
class Victim:
    """A sweep of the small app that is killed and started again with the same command."""

    folder: Path
    url: str
    seed: int
    n_trials: int
    kills: Counter[str] = field(default_factory=Counter)
    # What the storage has called finished, as it was then.
    seen: dict[int, tuple[TrialState, list[float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._polled: optuna.Study | None = None

    def start(self, *more: str) -> "subprocess.Popen[str]":
        """Start the command, in a process group of its own."""
        overrides = (
            # Quoted, as a URL may hold what is grammar to Hydra.
            f"hydra.sweeper.storage='{self.url}'",
            *("+x=interval(-5.0,5.0)", "+seconds=0.2", "+steps=4", "+once=1"),
            *("hydra.sweeper.study_name=sweep", "hydra.sweeper.retries=100"),
            # As all presets have one; every process draws from it.
            "hydra.sweeper.sampler.seed=1",
            *(f"hydra.sweeper.n_trials={self.n_trials}", *more),
        )
        return WithItsWorkers(
            app_command(*overrides),
            cwd=self.folder,
            env=app_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def kill_once(self, kind: str) -> None:
        """Start, let a random number of trials end, and kill at a random moment.

        A study that is complete before is extended.
        """
        while self._finished() + 4 > self.n_trials:
            self.n_trials += 8
        process = self.start()
        self._finished()
        wanted = self._finished() + self._random.randint(0, 1)
        while_starting = self._random.random() < 0.1
        if not while_starting:
            self._wait(process, lambda: self._finished() >= wanted and self._runs_trials(process))
        time.sleep(self._random.uniform(0.0, 0.4))
        if process.poll() is not None:
            assert process.returncode == 0, process.communicate()[0]
            return self.kill_once(kind)
        left = workers(process.pid)
        self._kill(process, kind)
        assert not psutil.wait_procs(left, timeout=PATIENCE)[1]
        self.kills[kind] += 1
        process.communicate(timeout=PATIENCE)
        self.look()

    def finish(self) -> str:
        """Start a last time, let it run to its end, and return what it said."""
        process = self.start()
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, output
        self.look()
        return output

    def look(self) -> list[FrozenTrial]:
        """Check that nothing that was finished has changed, and remember what is by now."""
        trials = self.trials()
        if not trials:
            assert not self.seen
        assert [trial.number for trial in trials] == list(range(len(trials)))
        for number, then in self.seen.items():
            assert (trials[number].state, trials[number].values) == then, f"trial {number} changed"
        for trial in trials:
            if trial.state.is_finished():
                self.seen[trial.number] = (trial.state, trial.values)
        return trials

    def check_complete(self) -> None:
        """Check that the study is whole: all trials there, once each, and readable."""
        trials = self.look()
        assert all(trial.state.is_finished() for trial in trials)
        for trial in trials:
            if trial.state is TrialState.COMPLETE:
                assert abs(trial.values[0] + (trial.params["+x"] - 1) ** 2) < 1e-9
        tally = self.tally()
        assert tally == Tally(finished=self.n_trials), tally

    def tally(self) -> "Tally":
        """Count what became of the trials."""
        trials = self.trials()
        real = [trial for trial in trials if not was_interrupted(trial)]
        params = Counter(tuple(trial.params.items()) for trial in real)
        continued = Counter(trial.user_attrs.get("continues") for trial in trials)
        begun = [
            trial.number
            for trial in trials
            if was_interrupted(trial) and (trial.params or trial.system_attrs.get("fixed_params"))
        ]
        # The app refuses to run where another trial has run.
        errors = [trial.user_attrs.get("error", "") for trial in trials]
        return Tally(
            finished=sum(trial.state is TrialState.COMPLETE for trial in real),
            lost=sum(continued[number] == 0 for number in begun),
            repeated=sum(count - 1 for count in params.values())
            + sum(continued[number] > 1 for number in begun),
            overwritten=sum("FileExistsError" in error for error in errors),
            failed=sum(trial.state is not TrialState.COMPLETE for trial in real),
        )

    def trials(self) -> list[FrozenTrial]:
        """Read the trials afresh; none while there is no study."""
        try:
            return self.study().get_trials(deepcopy=False)
        except KeyError:
            return []

    def study(self) -> optuna.Study:
        """Read the study afresh."""
        open_storage.cache_clear()
        return optuna.load_study(study_name="sweep", storage=open_storage(self.url))

    def _finished(self) -> int:
        try:
            self._polled = self._polled or self.study()
            return finished(self._polled)
        except KeyError:
            # The first process has not got as far as making the study.
            return 0

    def _runs_trials(self, process: "subprocess.Popen[str]") -> bool:
        if self._polled is None:
            return False
        running = self._polled.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return any(trial.user_attrs["owner"]["pid"] == process.pid for trial in running)

    def _wait(self, process: "subprocess.Popen[str]", until: Callable[[], bool]) -> None:
        wait_until(lambda: process.poll() is not None or until())

    def _kill(self, process: "subprocess.Popen[str]", kind: str) -> None:
        if kind == "group":
            os.killpg(process.pid, signal.SIGKILL)
            return
        if kind == "main":
            process.kill()
            return
        # A worker: the sweep itself goes on, until it is killed as well.
        found = workers(process.pid)
        if found:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._random.choice(found).kill()
            time.sleep(self._random.uniform(0.1, 0.5))
        process.kill()


def workers(pid: int) -> list[psutil.Process]:
    """Return the worker processes of a sweep, as far as they have started."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                # The server that workers are copies of is no worker.
                is_copy = child.ppid() != pid
                if is_copy or "spawn_main" in " ".join(child.cmdline()):
                    found.append(child)
    return found


def kinds(seed: int, n_kills: int) -> list[str]:
    """Return the kinds of a number of kills, each as often as the others, shuffled."""
    found = [KINDS[(seed + i) % len(KINDS)] for i in range(n_kills)]
    random.Random(seed).shuffle(found)
    return found
