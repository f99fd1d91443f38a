"""Trials that are read as rows are those that Optuna reads."""

import math
import random

import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from doctune.study import tables
from doctune.study.storage import open_storage
from doctune.study.tables import TableStorage
from tests.doctune.conftest import STORAGES
from tests.doctune.postgresql import new_database

SPACE: dict[str, BaseDistribution] = {
    "z": FloatDistribution(1e-5, 1.0, log=True),
    "a": CategoricalDistribution((None, True, 1.5, "text")),
    "m": IntDistribution(0, 9),
}
ODD = (math.inf, -math.inf, 0.25)


def a_trial(draw: random.Random) -> FrozenTrial:
    state = draw.choice(list(TrialState))
    some = draw.sample(sorted(SPACE), draw.randint(0, 3))
    params = {"z": draw.uniform(0.1, 0.9), "a": draw.choice((None, True, 1.5, "text")), "m": 3}
    return create_trial(
        state=state,
        values=[draw.choice(ODD), 0.5] if state is TrialState.COMPLETE else None,
        params={name: params[name] for name in some},
        distributions={name: SPACE[name] for name in some},
        user_attrs={"interrupted": True, "note": [1, {"a": None}]} if draw.random() < 0.5 else {},
        system_attrs={"constraints": [0.5]} if draw.random() < 0.5 else {},
        intermediate_values={step: draw.choice((*ODD, math.nan)) for step in range(3)},
    )


@pytest.fixture(scope="module", params=STORAGES)
def storage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> TableStorage:
    """Return a storage with two studies of which one has forty trials of all kinds; to be read."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('tables') / 'optuna.db'}"
    else:
        url = new_database(request.getfixturevalue("postgresql_server"))
    opened = open_storage(url)
    assert isinstance(opened, TableStorage)
    draw = random.Random(1)
    other = optuna.create_study(study_name="other", storage=opened, directions=["minimize"] * 2)
    study = optuna.create_study(study_name="s", storage=opened, directions=["minimize"] * 2)
    for _ in range(20):
        study.add_trials([a_trial(draw), a_trial(draw)])
        other.add_trial(a_trial(draw))
    return opened


# What has no equal, as text.
def told(trials: list[FrozenTrial]) -> list[str]:
    return [repr(sorted(vars(trial).items())) for trial in trials]


@pytest.mark.parametrize("few", [tables.FEW, 2])
def test_what_is_read_is_what_optuna_reads(
    storage: TableStorage, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "FEW", few)
    study = storage.get_study_id_from_name("s")
    ids = [trial._trial_id for trial in RDBStorage._get_trials(storage, study, None, set(), -1)]
    assert len(ids) == 40
    for named, last in ((set(), -1), (set(ids[3:9]), ids[20]), (set(ids[30:]), ids[5])):
        for states in (None, (TrialState.COMPLETE, TrialState.WAITING)):
            which = (study, states, named, last)
            assert told(storage._get_trials(*which)) == told(
                RDBStorage._get_trials(storage, *which)
            )
    for trial_id in ids[:8]:
        assert told([storage.get_trial(trial_id)]) == told(
            [RDBStorage.get_trial(storage, trial_id)]
        )


def test_what_is_not_there_is_told_as_optuna_does(storage: TableStorage) -> None:
    with pytest.raises(KeyError):
        storage.get_trial(10**6)
    with pytest.raises(KeyError):
        storage.get_all_trials(10**6)
    assert storage.get_all_trials(storage.create_new_study([optuna.study.StudyDirection(1)])) == []


def test_curves_alone_leave_out_parameters_and_other_notes(storage: TableStorage) -> None:
    study = storage.get_study_id_from_name("s")
    whole = storage.get_all_trials(study)
    for of_unfinished in (True, False):
        light = storage.only_curves(("interrupted",), of_unfinished).get_all_trials(study)
        for trial, curve in zip(whole, light, strict=True):
            is_read = of_unfinished or trial.state.is_finished()
            noted = [name for name in trial.user_attrs if name == "interrupted" and is_read]
            assert (curve.number, curve.state) == (trial.number, trial.state)
            assert list(curve.user_attrs) == noted
            assert not curve.params
            steps = trial.intermediate_values if is_read else {}
            assert repr(curve.intermediate_values) == repr(steps)


@pytest.mark.parametrize("few", [tables.FEW, 2])
def test_of_those_that_ran_a_pruner_reads_what_has_ended(
    storage: TableStorage, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "FEW", few)
    study = storage.get_study_id_from_name("s")
    trials = storage.get_all_trials(study)
    named, last = {one._trial_id for one in trials[:30]}, trials[34]._trial_id
    light = storage.only_curves((), of_unfinished=False)
    found = [one.number for one in light._get_trials(study, None, named, last)]
    ended = [one.number for one in trials[:30] if one.state.is_finished()]
    assert found == [*ended, *range(35, 40)]
    # Of what runs it is told once, also where none that began later has ended.
    known = {one._trial_id for one in trials[:38]}
    again = [one.number for one in light._get_trials(study, None, known, -1)]
    assert again == [one.number for one in trials[:38] if one.state.is_finished()] + [38, 39]
    # Nothing new is no missing study.
    waits = {one._trial_id for one in trials if not one.state.is_finished()}
    assert light._get_trials(study, None, waits, trials[-1]._trial_id) == []
