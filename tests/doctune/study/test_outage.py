"""A database server that goes away in the night, and comes back."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import optuna
import pytest
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import InterfaceError, OperationalError

from doctune.errors import UserError
from doctune.study import outage
from doctune.study.outage import Outage
from doctune.study.ownership import Heartbeat
from doctune.study.patient import PatientStorage, open_patiently
from doctune.study.storage import open_storage
from doctune.study.study import load_study as load_stored
from doctune.study.study import was_interrupted
from tests import preloaded
from tests.doctune.conftest import app_command, app_environment, load_study
from tests.preloaded import WithItsWorkers
from tests.waiting import PATIENCE, wait_until


@contextmanager
def away(url: str) -> Iterator[None]:
    """Have the server cut all connections to a database and refuse new ones."""
    parsed = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_engine(parsed.set(database="postgres"), isolation_level="AUTOCOMMIT")
    name = parsed.database
    cut = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
    with engine.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        connection.execute(cut, {"name": name})
        yield
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
    engine.dispose()


@pytest.fixture
def running(tmp_path: Path, postgresql: str) -> "subprocess.Popen[str]":
    """Return a sweep whose first two trials wait at the gate."""
    process = WithItsWorkers(
        app_command(
            *("+x=interval(-5.0,5.0)", "hydra.sweeper.n_trials=2", "+steps=6"),
            *(f"+gate={tmp_path / 'gate'}", "+gate_at=3", "hydra.sweeper.study_name=sweep"),
            *(f"hydra.sweeper.storage='{postgresql}'", "hydra.sweeper.heartbeat=0.5"),
            # One slot is free, and asks the server again and again.
            n_jobs=3,
        ),
        cwd=tmp_path,
        env=app_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_until(lambda: reports(postgresql) == [3, 3], process)
    return process


def reports(url: str) -> list[int]:
    try:
        return [len(trial.intermediate_values) for trial in load_study(url).trials]
    except KeyError:
        return []


# As test_surroundings has it of a search whose files go away, and the next test of a server.
@pytest.mark.thorough
def test_a_search_goes_on_when_the_server_is_back(
    tmp_path: Path, postgresql: str, running: "subprocess.Popen[str]"
) -> None:
    logs = [tmp_path / "sweep" / str(number) / "app.log" for number in range(2)]
    with away(postgresql):
        (tmp_path / "gate").touch()
        # The jobs wait as well as the search, and say why.
        wait_until(lambda: all("storage: it does not" in log.read_text() for log in logs), running)
        time.sleep(0.5)
        assert running.poll() is None, running.communicate()[0]
    output, _ = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, output
    assert "Traceback" not in output
    # Nothing was begun again.
    trials = load_study(postgresql).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2
    assert all("storage: it answers again" in log.read_text() for log in logs)


def test_a_job_that_starts_meanwhile_waits(
    postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    optuna.create_study(study_name="s", storage=open_storage(postgresql))
    open_storage.cache_clear()
    tried, sleep = threading.Event(), time.sleep
    found: list[optuna.Study] = []

    def pause(_: float) -> None:
        tried.set()
        sleep(0.05)

    monkeypatch.setattr("doctune.study.outage.time.sleep", pause)
    job = threading.Thread(
        target=lambda: found.append(load_stored(postgresql, "s", open_patiently(postgresql)))
    )
    with away(postgresql):
        job.start()
        assert tried.wait(timeout=PATIENCE)
    job.join(timeout=PATIENCE)
    (study,) = found
    trial = study.ask()
    study.tell(trial, 1.0)
    assert [each.value for each in study.trials] == [1.0]


@pytest.mark.parametrize("missing", ["database", "user"])
def test_what_a_server_refuses_is_not_waited_for(postgresql: str, missing: str) -> None:
    parsed = make_url(postgresql)
    wrong = parsed.set(database="gone") if missing == "database" else parsed.set(username="nobody")
    url = wrong.render_as_string(hide_password=False)
    with pytest.raises(UserError, match="does not exist"):
        open_patiently(url)


class Answers:
    """A storage whose first answer is lost after it has done what it was asked."""

    def __init__(self, trial: FrozenTrial) -> None:
        self._trial, self._is_done = trial, False

    def set_trial_state_values(self, trial_id: int, state: TrialState) -> bool:
        if self._is_done:
            raise UpdateFinishedTrialError
        self._is_done = True
        raise StorageInternalError("cut")

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._trial


def test_an_end_that_was_stored_and_not_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doctune.study.outage.time.sleep", lambda _: None)
    complete = create_trial(state=TrialState.COMPLETE, value=1.0)
    for state, is_same in ((TrialState.COMPLETE, True), (TrialState.PRUNED, False)):
        answers: Any = Answers(complete)
        storage = PatientStorage(answers, Outage(lambda _: None))
        if is_same:
            assert storage.set_trial_state_values(0, state)
        else:
            with pytest.raises(UpdateFinishedTrialError):
                storage.set_trial_state_values(0, state)


# As test_stop has it of a storage that answers; that a search outlives the outage is above.
@pytest.mark.thorough
def test_ctrl_c_while_the_server_is_away(
    tmp_path: Path, postgresql: str, running: "subprocess.Popen[str]"
) -> None:
    with away(postgresql):
        running.terminate()
        output, _ = running.communicate(timeout=PATIENCE)
    assert "Traceback" not in output
    assert "The same command goes on" in output
    (tmp_path / "gate").touch()
    again = preloaded.run(cast("list[str]", running.args), tmp_path, app_environment(), PATIENCE)
    assert again.returncode == 0, again.stderr
    real = [trial for trial in load_study(postgresql).trials if not was_interrupted(trial)]
    assert [trial.state for trial in real] == [TrialState.COMPLETE] * 2


def test_patience_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("doctune.study.outage.time.monotonic", lambda: now[0])
    monkeypatch.setattr("doctune.study.outage.time.sleep", lambda _: None)
    error = StorageInternalError("gone")
    said: list[str] = []
    storage = Outage(said.append)
    storage.wait(error)
    now[0] += outage.PATIENCE - 1
    storage.wait(error)
    storage.is_over()
    now[0] += 10
    storage.wait(error)
    now[0] += outage.PATIENCE + 1
    with pytest.raises(UserError, match=r"no answer for 10 minutes \(gone\).*same command"):
        storage.wait(error)
    # Once for each time that it was away, and not in silence.
    assert [line.split(" (")[0] for line in said] == [
        "storage: it does not answer",
        "storage: it answers again",
        "storage: it does not answer",
    ]
    assert "(gone); trying again for 10 minutes, Ctrl-C ends the search" in said[0]


def test_a_full_disk_is_told_once_although_it_can_be_read() -> None:
    class Full:
        is_full = True

        def set_trial_user_attr(self, *_: Any) -> None:
            beats.append(self.is_full)
            if self.is_full:
                raise StorageInternalError("in the commit") from OSError("database or disk is full")

    beats: list[bool] = []
    said: list[str] = []
    storage, outage = Full(), Outage(said.append)
    with Heartbeat(cast(Any, storage), 0.01, outage=outage) as heartbeat:
        heartbeat.add(0)
        wait_until(lambda: len(beats) > 3)
        assert len(said) == 1
        assert said[0].startswith(
            "storage: nothing can be written (database or disk is full); trials wait"
        )
        storage.is_full = False
        wait_until(lambda: len(said) > 1)
    assert said[1:] == ["storage: it can be written again"]


@pytest.mark.parametrize(
    "error",
    [
        # As Optuna's session lets them through, which rolls back over the cut connection.
        OperationalError("ROLLBACK", {}, OSError("cut")),
        InterfaceError("ROLLBACK", {}, OSError("cut")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_heart_beats_on_after_a_cut_connection(error: Exception) -> None:
    class Cut:
        def set_trial_user_attr(self, *_: Any) -> None:
            beats.append(threading.current_thread())
            if len(beats) == 1:
                raise error

    beats: list[threading.Thread] = []
    said: list[str] = []
    with Heartbeat(cast(Any, Cut()), 0.01, [0], Outage(said.append)):
        wait_until(lambda: len(beats) > 1 or (bool(beats) and not beats[0].is_alive()))
    assert len(beats) > 1
    wait_until(lambda: len(said) > 1)
    assert "nothing can be written ((builtins.OSError) cut)" in said[0]
    assert said[1] == "storage: it can be written again"


def test_a_storage_that_is_known_to_be_away_is_not_told_of_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outage, "PAUSE", 0)
    said: list[str] = []
    known = Outage(said.append)
    known.wait(StorageInternalError("gone"))
    known.cannot_write(StorageInternalError("gone"))
    known.can_write()
    assert len(said) == 1
