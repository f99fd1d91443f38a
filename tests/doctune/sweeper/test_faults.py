"""What goes wrong in a trial ends that trial alone, and is told where it belongs."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from doctune.errors import UserError
from doctune.study.budget import Budget
from doctune.study.study import finished, values_of
from doctune.sweeper.failures import FAILURE_WINDOW, FailureWindow
from tests.doctune.conftest import Sweep, load_study, on_sqlite, run_sweep, sqlite
from tests.doctune.sweeper.in_process import Searches
from tests.doctune.sweeper.in_process import search as search

FAULTS = ("none", "exception", "no_number", "disk", "killed")


@dataclass
class Met:
    """A sweep that met every fault once."""

    folder: Path
    screen: list[str]
    study: optuna.Study

    @property
    def trials(self) -> dict[str, list[FrozenTrial]]:
        """Return the trials by their fault."""
        found: dict[str, list[FrozenTrial]] = {fault: [] for fault in FAULTS}
        for trial in self.study.trials:
            found[trial.params["+fault"]].append(trial)
        return found

    def lines_of(self, trial: FrozenTrial) -> list[str]:
        return [line for line in self.screen if f"trial {trial.number} " in line]

    def log_of(self, trial: FrozenTrial) -> str:
        return (self.folder / "sweep" / str(trial.number) / "app.log").read_text()


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> Met:
    folder = tmp_path_factory.mktemp("faults")
    done = run_sweep(
        folder,
        f"+fault=choice({','.join(FAULTS)})",
        "hydra/sweeper/sampler=grid",
        "hydra.sweeper.n_trials=5",
        "hydra.sweeper.max_failure_rate=1",
        "hydra.sweeper.retries=1",
    )
    return Met(folder, (done.stdout + done.stderr).splitlines(), load_study(sqlite(folder)))


def test_each_fault_fails_its_own_trial(met: Met) -> None:
    states = {
        fault: Counter(trial.state.name for trial in trials) for fault, trials in met.trials.items()
    }
    once: Any = {"FAIL": 1}
    assert states == {
        "none": {"COMPLETE": 1},
        **dict.fromkeys(("exception", "no_number", "disk"), once),
        # Tried again, as it may have been the kernel's choice.
        "killed": {"FAIL": 2},
    }
    assert finished(met.study) == 5


def test_an_exception_is_one_line_on_the_screen_and_whole_in_the_trials_log(met: Met) -> None:
    (trial,) = met.trials["exception"]
    (line,) = met.lines_of(trial)
    assert "failed RuntimeError: something is wrong |" in line
    log = met.log_of(trial)
    assert "Traceback" in log
    assert "and this is the second line of it" in log
    assert not any("Traceback" in line or "second line" in line for line in met.screen)


def test_a_full_disk_fails_the_trial_that_met_it(met: Met) -> None:
    (trial,) = met.trials["disk"]
    (line,) = met.lines_of(trial)
    assert "No space left on device" in line
    assert "Traceback" in met.log_of(trial)


def test_nan_is_a_failure_not_a_result(met: Met) -> None:
    (trial,) = met.trials["no_number"]
    assert trial.values is None
    assert "the job returned NaN" in met.lines_of(trial)[0]


def test_a_worker_that_is_killed_has_its_trial_tried_again(met: Met) -> None:
    first, again = met.trials["killed"]
    assert first.params == again.params
    assert again.user_attrs["continues"] == first.number
    assert "ProcessExpired" in again.user_attrs["error"]
    assert "runs again: ProcessExpired: the worker was killed" in met.lines_of(first)[0]
    assert "failed ProcessExpired" in met.lines_of(again)[0]
    assert {path.name for path in (met.folder / "sweep").glob("[0-9]*")} == set("012345")


def test_results_that_find_no_room_are_told_in_one_line(search: Searches, tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "optimization_results.yaml").symlink_to("/dev/full")
    done = search("+x=choice(1.0)", "hydra.sweeper.n_trials=1")
    assert done.code == 1
    errors = done.said
    assert "Traceback" not in errors
    assert "No space left on device" in errors.splitlines()[-1]
    assert "the same command writes them" in errors.splitlines()[-1]


def test_failed_trials_are_made_up_for_where_they_do_not_count(search: Searches) -> None:
    words = (
        *("+fault=choice(none,exception)", "hydra/sweeper/sampler=random", "+x=interval(0.0,1.0)"),
        *("hydra.sweeper.sampler.seed=1", "hydra.sweeper.max_failure_rate=1"),
    )
    first = search(*words, "hydra.sweeper.n_trials=4")
    counted = Counter(trial.state.name for trial in first.study.trials)
    assert counted["FAIL"] > 0
    assert counted.total() == 4
    done = search(*words, "hydra.sweeper.n_trials=4", "hydra.sweeper.count_failed=false")
    assert "goes on: " in done.said
    assert "| 4/4 finished" in done.said
    assert "| 5/4 finished" not in done.said
    assert Counter(trial.state.name for trial in done.study.trials)["COMPLETE"] == 4


@on_sqlite
# The shorter limit is over before the trial has a process.
@pytest.mark.parametrize("seconds", [0.01, 2])
def test_a_trial_that_hangs_is_ended(
    sweep: Sweep, load: Callable[[], optuna.Study], seconds: float
) -> None:
    done = sweep(
        "+x=choice(1.0)",
        "+fault=hang",
        "hydra.sweeper.n_trials=1",
        "hydra.sweeper.max_failure_rate=1",
        f"hydra.sweeper.trial_timeout={seconds}",
        n_jobs=1,
    )
    (trial,) = load().trials
    assert trial.state is TrialState.FAIL
    assert f"no end and no report after hydra.sweeper.trial_timeout={seconds:g} s" in done.stdout
    assert "raise it if trials need longer, else the worker's log" in done.stdout


def ended(state: TrialState) -> FrozenTrial:
    return create_trial(
        state=state,
        value=1.0 if state is TrialState.COMPLETE else None,
        params={"x": 1},
        distributions={"x": CategoricalDistribution((1,))},
    )


def window(rate: float, n_trials: int = 100) -> FailureWindow:
    found = FailureWindow(Budget(n_trials=n_trials, max_failure_rate=rate, n_jobs=1))
    found.last_error = RuntimeError("the last error")
    return found


def test_failures_are_counted_over_the_last_trials_alone() -> None:
    failures = window(0.5)
    for _ in range(5):
        # Half of any ten: a long search lives with it.
        for state in (TrialState.FAIL, TrialState.COMPLETE) * (FAILURE_WINDOW // 2):
            failures.add(ended(state))
    failures.add(ended(TrialState.FAIL))
    with pytest.raises(UserError, match=r"6 of the last 10 trials failed.*the last error"):
        failures.add(ended(TrialState.FAIL))


def test_a_sweep_that_is_broken_from_the_start_ends_before_ten_trials() -> None:
    failures = window(0.5)
    for _ in range(5):
        failures.add(ended(TrialState.FAIL))
    with pytest.raises(UserError, match=r"max_failure_rate=0\.5"):
        failures.add(ended(TrialState.FAIL))
    with pytest.raises(UserError):
        window(0.0).add(ended(TrialState.FAIL))
    few = window(0.5, n_trials=3)
    few.add(ended(TrialState.FAIL))
    with pytest.raises(UserError):
        few.add(ended(TrialState.FAIL))


def test_more_trials_than_asked_for_exceed_no_rate_that_allows_all() -> None:
    """As there are where failed ones do not count."""
    failures = window(1.0, n_trials=4)
    for _ in range(12):
        failures.add(ended(TrialState.FAIL))


def test_pruned_trials_are_no_failures() -> None:
    failures = window(0.0)
    for _ in range(20):
        failures.add(ended(TrialState.PRUNED))


@pytest.mark.parametrize(
    ("returned", "n_objectives", "message"),
    [
        (None, 1, "returned None"),
        ("bad", 1, "returned 'bad'"),
        (float("nan"), 1, "NaN"),
        ((1.0, float("nan")), 2, "NaN"),
        ((1.0,), 2, "1 values for 2 objectives"),
        (1.0, 2, "not 2 number"),
    ],
)
def test_what_is_no_result(returned: Any, n_objectives: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        values_of(returned, n_objectives)
