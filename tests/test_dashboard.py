"""`make dashboard` shows all studies of a storage."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import optuna
import optuna_dashboard  # type: ignore[import-untyped]
import pytest
from omegaconf import OmegaConf
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from doctune.space.record import record_space
from doctune.space.search_space import Branch, SearchSpace
from doctune.study.ownership import this_process
from doctune.study.queue import interrupt, requeue_interrupted, reserve
from doctune.study.storage import open_storage
from doctune.study.warm_start import FirstTrials
from doctune.trial import RunningTrial
from tests.browser import BROWSER, DRIVER, browser
from tests.conftest import REPOSITORY


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def fetch(url: str, server: subprocess.Popen[bytes]) -> bytes:
    until = time.monotonic() + 120
    while True:
        assert server.poll() is None, "the dashboard has ended"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.URLError:
            assert time.monotonic() < until
            time.sleep(0.2)


def stop(server: subprocess.Popen[bytes]) -> None:
    """End make and what it started."""
    os.killpg(server.pid, signal.SIGTERM)
    server.wait(60)


def leave_a_study_of_ours(url: str) -> optuna.Study:
    """Return one with all that only ours have: notes, interrupted trials, values out of a range."""
    study = optuna.create_study(study_name="ours", storage=open_storage(url), direction="maximize")
    study.set_metric_names(["f1"])
    choices = optuna.distributions.CategoricalDistribution([None, "max"])
    space = SearchSpace({}, {(): Branch({"lr": FloatDistribution(0.1, 1.0), "pooling": choices})})
    record_space(study, space)
    defaults = space.defaults(OmegaConf.create({"lr": 0.01, "pooling": "avg"}))
    FirstTrials(defaults, None, 0).queue(study, space.distributions, url)
    for number in range(12):
        trial = reserve(study, this_process())
        space.suggest(trial)
        trial.set_user_attr("fixed", {"model": "tiny"})
        running = RunningTrial(study, trial.number, prune=False)
        running.report(0.1 * number, 0, "fold 1/3, epoch 1/3")
        if number == 4:
            interrupt(study, study.trials[trial.number])
            requeue_interrupted(study)
        elif number == 5:
            running.end_as_pruned()
        elif number == 6:
            study.tell(trial.number, state=TrialState.FAIL)
        else:
            running.end_as_complete(0.1 * number)
    assert study.trials[0].params == {"lr": 0.01}
    return study


@dataclass
class Dashboard:
    """One that runs."""

    address: str
    # Of the study with the most in it.
    number: int
    server: "subprocess.Popen[bytes]"

    def fetch(self, path: str) -> bytes:
        return fetch(f"{self.address}/{path}", self.server)


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    """Return a storage with a study of ours and an empty one, and the number of ours."""
    url = f"sqlite:///{tmp_path_factory.mktemp('dashboard') / 'optuna.db'}"
    number: int = leave_a_study_of_ours(url)._study_id
    optuna.create_study(storage=url, study_name="empty")
    return url, number


@pytest.fixture(scope="module")
def dashboard(studies: tuple[str, int]) -> Iterator[Dashboard]:
    """Have `make dashboard` show them."""
    if not shutil.which("make"):
        pytest.skip("no make here")
    url, number = studies
    port = free_port()
    # As if everything were set up: -o leaves the environment alone.
    words = ("-o", ".venv/.installed", "dashboard", f"BIN={Path(sys.executable).parent}")
    server = subprocess.Popen(
        ["make", *words, f"PORT={port}", f"STORAGE={url}"],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield Dashboard(f"http://127.0.0.1:{port}", number, server)
    finally:
        stop(server)


def assert_all_studies_are_there(fetched: Callable[[str], bytes], number: int) -> None:
    assert b"Optuna Dashboard" in fetched("dashboard")
    found = json.loads(fetched("api/studies"))
    assert {study["study_name"] for study in found["study_summaries"]} == {"ours", "empty"}
    study = json.loads(fetched(f"api/studies/{number}?after=0"))
    assert {"Complete", "Pruned", "Fail"} <= {trial["state"] for trial in study["trials"]}
    importances = json.loads(fetched(f"api/studies/{number}/param_importances"))
    assert importances["param_importances"]


def test_the_dashboard_understands_a_study_of_ours(studies: tuple[str, int]) -> None:
    """As the server below, without one: it is asked in this process."""
    url, number = studies
    app = optuna_dashboard.wsgi(url)

    def fetched(path: str) -> bytes:
        path, _, query = path.partition("?")
        environ = {"PATH_INFO": f"/{path}", "QUERY_STRING": query}
        setup_testing_defaults(environ)
        status: list[str] = []
        content = b"".join(app(environ, lambda said, *_: status.append(said)))
        assert status[0].startswith("200"), (path, status)
        return content

    assert_all_studies_are_there(fetched, number)


@pytest.mark.skipif(not shutil.which("make"), reason="no make here")
def test_make_starts_it_for_a_storage_on_a_port() -> None:
    words = ["-o", ".venv/.installed", "dashboard", "BIN=bin", "PORT=81", "STORAGE=journal:///a"]
    done = subprocess.run(
        ["make", "--dry-run", *words], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    wanted = "bin/optuna-dashboard --host 127.0.0.1 --port 81 'journal:///a'"
    assert wanted in done.stdout.splitlines()


# What it serves, and how it is started, are held above.
@pytest.mark.thorough
def test_all_studies_are_there(dashboard: Dashboard) -> None:
    assert_all_studies_are_there(dashboard.fetch, dashboard.number)


# Page of a study -> words that it has once it is drawn.
MUST_SHOW = {"": "ours", "/analytics": "Cumulative Probability", "/trials": "Trial 0"}


# What it is drawn from is asked for above; tests/results/test_report.py opens our own pages.
@pytest.mark.thorough
@pytest.mark.skipif(not (BROWSER and DRIVER), reason="no chromium here")
def test_a_study_of_ours_can_be_looked_at_in_a_browser(dashboard: Dashboard) -> None:
    dashboard.fetch("dashboard")
    with browser("light") as driver:
        seen: dict[str, str] = {}
        for page in MUST_SHOW:
            driver.get(f"{dashboard.address}/dashboard/studies/{dashboard.number}{page}")
            until = time.monotonic() + 60
            while MUST_SHOW[page] not in seen.get(page, ""):
                assert time.monotonic() < until, seen
                time.sleep(0.2)
                seen[page] = driver.find_element("tag name", "body").text
        errors = [line for line in driver.get_log("browser") if line["level"] == "SEVERE"]
    assert errors == []
