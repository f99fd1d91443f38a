"""Trials read from Optuna's tables as rows, not as objects of SQLAlchemy's.

Optuna makes an object of each row, five to thirty a trial: most of what a look at a study costs,
and 13 s of processor time for one of 20,000 trials. A process that joins a long study, and every
job of one, begins with such a look. What is read is the same: `tests/doctune/study/test_tables.py`
holds the two beside one another.
"""

import datetime
import functools
import json
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.models import NOT_FOUND_MSG
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import ARRAY, Integer, and_, any_, bindparam, or_, select, union_all

# A statement names so many single trials at most.
FEW = 400
TRIAL = models.TrialModel
VALUE, STEP = models.TrialValueModel, models.TrialIntermediateValueModel
PARAM, NOTE, OF_OPTUNA = (
    models.TrialParamModel,
    models.TrialUserAttributeModel,
    models.TrialSystemAttributeModel,
)
COLUMNS: dict[Any, tuple[Any, ...]] = {
    PARAM: (PARAM.param_name, PARAM.param_value, PARAM.distribution_json),
    VALUE: (VALUE.objective, VALUE.value, VALUE.value_type),
    NOTE: (NOTE.key, NOTE.value_json),
    OF_OPTUNA: (OF_OPTUNA.key, OF_OPTUNA.value_json),
    STEP: (STEP.step, STEP.intermediate_value, STEP.intermediate_value_type),
}
# Kept in the order in which they were suggested.
ORDER: dict[Any, Any] = {PARAM: PARAM.param_id}
OF_TRIALS = (
    TRIAL.trial_id,
    TRIAL.number,
    TRIAL.state,
    TRIAL._datetime_start_utc,
    TRIAL._datetime_complete_utc,
)


class TableStorage(RDBStorage):
    """Optuna's storage of a database, which reads trials faster.

    Attributes:
        notes: which user attributes of trials are read; None: all.
        with_params: whether parameters are read.
        of_unfinished: whether anything is read of trials that run, beside that they do, once.
    """

    notes: tuple[str, ...] | None = None
    with_params = True
    of_unfinished = True

    def only_curves(self, notes: Iterable[str], of_unfinished: bool = True) -> "TableStorage":
        """Return the storage as one that reads no parameters, and of the notes these alone.

        Args:
            notes: user attributes of trials.
            of_unfinished: whether trials that run are read too. In a fleet they are many, and
                are read anew each time.
        """
        # A copy would connect anew.
        light = object.__new__(type(self))
        light.__dict__.update(self.__dict__)
        light.notes, light.with_params = tuple(notes), False
        light.of_unfinished = of_unfinished
        return light

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial.

        Raises:
            KeyError: there is none of that id.
        """
        with _create_scoped_session(self.scoped_session) as session:
            rows = session.execute(_trials_by_id(True, self._lists), {"ids": [trial_id]}).all()
            if not rows:
                raise KeyError(NOT_FOUND_MSG)
            return self._build(session, rows, {"ids": [trial_id]})[0]

    @property
    def _lists(self) -> bool:
        """Tell whether the database takes a list as one parameter, however long it is."""
        return bool(self.engine.dialect.name == "postgresql")

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        last = trial_id_greater_than
        if not self.of_unfinished:
            # All up to the newest that is named are known, as one is created after the other.
            last = max(last, *included_trial_ids, -1)
        named = sorted(number for number in included_trial_ids if number <= last)
        found = []
        with _create_scoped_session(self.scoped_session) as session:
            # Of a fleet, which has more trials that run than a statement names: all that has ended
            # since the first of them began would be far more.
            while len(named) > FEW and not self._lists:
                some, named = {"ids": named[:FEW]}, named[FEW:]
                rows = session.execute(_trials_by_id(self.of_unfinished, False), some).all()
                found += self._build(session, rows, some)
            which = {"study": study_id, "last": last, "ids": named}
            rows = session.execute(_trials_of_study(self.of_unfinished, self._lists), which).all()
            if not rows and not included_trial_ids:
                models.StudyModel.find_or_raise_by_id(study_id, session)
            found += self._build(session, rows, which)
        return found if states is None else [one for one in found if one.state in states]

    def _build(self, session: Any, rows: Sequence[Any], which: dict[str, Any]) -> list[FrozenTrial]:
        """Make trials of their rows, reading what belongs to them."""
        read = [row[0] for row in rows if self.of_unfinished or row[2].is_finished()]
        if len(read) <= FEW or (self._lists and which["ids"]):
            which = {"ids": read}
        found = {table: self._read(session, table, which) if read else {} for table in COLUMNS}
        return [_trial(row, {t: of.get(row[0], ()) for t, of in found.items()}) for row in rows]

    def _read(self, session: Any, table: Any, which: dict[str, Any]) -> dict[int, list[Any]]:
        """Return the rows of a table by their trials."""
        by_trial: dict[int, list[Any]] = defaultdict(list)
        if table is PARAM and not self.with_params:
            return by_trial
        some = self.notes is not None and table is NOTE
        statement = _rows(table, "study" in which, some, self._lists)
        if some:
            which = {**which, "notes": list(self.notes or ())}
        for trial_id, *row in session.execute(statement, which):
            by_trial[trial_id].append(row)
        return by_trial


def _trial(row: Any, parts: dict[Any, Sequence[Any]]) -> FrozenTrial:
    trial_id, number, state, started, completed = row
    ranges = {name: _distribution(text) for name, _, text in parts[PARAM]}
    values: list[float] | None = None
    if parts[VALUE]:
        values = [0.0] * len(parts[VALUE])
        for objective, value, kind in parts[VALUE]:
            values[objective] = VALUE.stored_repr_to_value(value, kind)
    return FrozenTrial(
        number=number,
        state=state,
        value=None,
        values=values,
        datetime_start=_local(started),
        datetime_complete=_local(completed),
        params={name: ranges[name].to_external_repr(value) for name, value, _ in parts[PARAM]},
        distributions=ranges,
        user_attrs={key: json.loads(text) for key, text in parts[NOTE]},
        system_attrs={key: json.loads(text) for key, text in parts[OF_OPTUNA]},
        intermediate_values={
            step: STEP.stored_repr_to_intermediate_value(value, kind)
            for step, value, kind in parts[STEP]
        },
        trial_id=trial_id,
    )


@functools.lru_cache(maxsize=1024)
def _distribution(text: str) -> BaseDistribution:
    # Nobody changes one, so all trials may have the same.
    return json_to_distribution(text)


def _local(moment: datetime.datetime | None) -> datetime.datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=datetime.UTC).astimezone().replace(tzinfo=None)


@functools.cache
def _trials_by_id(of_unfinished: bool, lists: bool) -> Any:
    return select(*OF_TRIALS).where(_named(of_unfinished, lists)).order_by(TRIAL.trial_id)


@functools.cache
def _trials_of_study(of_unfinished: bool, lists: bool) -> Any:
    if not lists:
        named = _of_study(_named(of_unfinished, lists))
        return select(*OF_TRIALS).where(*named).order_by(TRIAL.trial_id)
    # Each half has an index, which a planner that does not know the list misses for the whole.
    halves = _of_study(), (_named(of_unfinished, lists),)
    return union_all(*(select(*OF_TRIALS).where(*half) for half in halves)).order_by("trial_id")


@functools.cache
def _rows(table: Any, of_study: bool, some: bool, lists: bool) -> Any:
    """Return the statement that reads a table: of a study's trials, or of those that are named."""
    statement = select(table.trial_id, *COLUMNS[table])
    if of_study:
        known = _of_study() if lists else _of_study(_named(True, lists))
        statement = statement.join(TRIAL, table.trial_id == TRIAL.trial_id).where(*known)
    else:
        statement = statement.where(_is_among(table.trial_id, lists))
    if some:
        statement = statement.where(table.key.in_(bindparam("notes", expanding=True)))
    return statement.order_by(ORDER[table]) if table in ORDER else statement


def _of_study(*named: Any) -> tuple[Any, ...]:
    """Return the conditions of a study's trials that are new, or of those that are named beside."""
    return TRIAL.study_id == bindparam("study"), or_(TRIAL.trial_id > bindparam("last"), *named)


def _named(of_unfinished: bool, lists: bool) -> Any:
    """Return the condition of the trials that are named, or of those among them that have ended."""
    named = _is_among(TRIAL.trial_id, lists)
    ended = [state for state in TrialState if state.is_finished()]
    return named if of_unfinished else and_(named, TRIAL.state.in_(ended))


def _is_among(column: Any, lists: bool) -> Any:
    if lists:
        # One statement for all lengths, which both sides prepare once.
        return column == any_(bindparam("ids", type_=ARRAY(Integer)))
    return column.in_(bindparam("ids", expanding=True))
