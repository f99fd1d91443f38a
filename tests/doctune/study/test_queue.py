"""A proposal equal to a finished trial takes over its result instead of being trained."""

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial

from doctune.study.queue import copy_result, finished_twin, note_fixed_keys
from tests.doctune.sweeper.in_process import Searches
from tests.doctune.sweeper.in_process import search as search

COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL
RUNNING = TrialState.RUNNING


def test_a_duplicate_is_not_trained(search: Searches, tmp_path: Path) -> None:
    space = ("+x=choice(1.0,2.0)", "+steps=3", "+fixed=1")
    done = search(*space, "hydra.sweeper.n_trials=6", "hydra.sweeper.sampler.seed=1")
    trials = done.study.trials
    trained = [trial for trial in trials if "duplicate_of" not in trial.user_attrs]
    assert len(trials) == 6
    assert [path.name for path in sorted((tmp_path / "sweep").glob("[0-9]*"))] == [
        str(trial.number) for trial in trained
    ]
    assert len(trained) == 2
    for trial in trials:
        twin = trials[trial.user_attrs.get("duplicate_of", trial.number)]
        assert trial.values == twin.values
        assert trial.intermediate_values == twin.intermediate_values
        assert trial.params == twin.params
        # Kept once: what was fixed is an attribute of its own.
        assert trial.user_attrs["+fixed"] == "1"
        assert not [name for name, kept in trial.user_attrs.items() if kept == {"+fixed": "1"}]


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study()


def add(study: optuna.Study, state: TrialState, **user_attrs: Any) -> optuna.Trial:
    """Add a trial, always of the same parameters."""
    trial = create_trial(
        state=state,
        value=0.5 if state is COMPLETE else None,
        params={"x": 1},
        distributions={"x": CategoricalDistribution((1, 2))},
        user_attrs=user_attrs,
        intermediate_values={0: 0.4},
    )
    study.add_trial(trial)
    return optuna.Trial(study, study.trials[-1]._trial_id)


@pytest.mark.parametrize(
    ("earlier", "now", "is_reused"),
    [
        ((COMPLETE, {}), {}, True),
        ((PRUNED, {"stopped": "pruner"}), {}, True),
        # It might have become something with more time.
        ((PRUNED, {"stopped": "timeout"}), {}, False),
        ((PRUNED, {"stopped": "trial_timeout"}), {}, False),
        ((FAIL, {}), {}, False),
        ((COMPLETE, {"seed": 1}), {"seed": 1}, True),
        ((COMPLETE, {"seed": 1}), {"seed": 2}, False),
        ((COMPLETE, {"seed": 1}), {}, False),
        ((COMPLETE, {}), {"seed": 1}, False),
        # What is no fixed key does not count.
        ((COMPLETE, {"worker": "a"}), {"worker": "b"}, True),
        # As earlier versions have left it.
        ((COMPLETE, {"fixed": {"lr": 1}, "lr": 1}), {"lr": 1}, True),
        ((COMPLETE, {"fixed": {"lr": 1}, "lr": 1}), {}, False),
        # Repetitions over other seeds are trained, and stand for themselves alone.
        ((COMPLETE, {}), {"repeat": 1}, False),
        ((COMPLETE, {"repeat": 1}), {}, False),
    ],
)
def test_whose_result_can_be_reused(
    study: optuna.Study,
    earlier: tuple[TrialState, dict[str, Any]],
    now: dict[str, Any],
    is_reused: bool,
) -> None:
    note_fixed_keys(study, ["seed"])
    add(study, earlier[0], **earlier[1])
    twin = finished_twin(study, add(study, RUNNING, **now))
    assert (twin is not None) == is_reused


def test_notes_are_copied_but_not_who_ran_it(study: optuna.Study) -> None:
    add(study, COMPLETE, folds=[0.4, 0.6], owner={"pid": 1}, defaults=True, worker="gpu 0")
    trial = add(study, RUNNING, owner={"pid": 2})
    twin = finished_twin(study, trial)
    assert twin is not None
    copy_result(study, trial, twin)
    assert study.trials[1].user_attrs == {
        "folds": [0.4, 0.6],
        "owner": {"pid": 2},
        "duplicate_of": 0,
    }
