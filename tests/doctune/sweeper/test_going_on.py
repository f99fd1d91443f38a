"""A study that is there already, and what is typed next.

The letters name reports: `hydra-ecosystem/hydra` (h), `optuna/optuna` (o).
"""

from collections import Counter
from pathlib import Path

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from doctune.study.ownership import this_process
from doctune.study.storage import open_storage
from doctune.study.study import was_interrupted
from tests.doctune.conftest import load_study, sqlite
from tests.doctune.sweeper.in_process import Searches
from tests.doctune.sweeper.in_process import search as search

ONE = "hydra.sweeper.n_trials=1"
X = "+x=interval(-5.0,5.0)"


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
    count = 3
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
    for number in (1, 2, 9):
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
