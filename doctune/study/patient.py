"""A job's own storage: one that waits while the server is away, as the search itself does.

A trial that has trained for an hour is worth more than to end with an error because a server was
started again.
"""

import functools
import logging
from collections.abc import Callable
from typing import Any, cast

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, get_storage

from doctune.errors import UserError
from doctune.study.location import is_file, parse_url
from doctune.study.outage import AWAY, Outage
from doctune.study.storage import open_storage
from doctune.study.tables import TableStorage

log = logging.getLogger(__name__)

# What a server says that is there, and will say the same tomorrow.
REFUSALS = ("password", "authentication", "does not exist", "pg_hba.conf", "denied")


class PatientStorage:
    """Any of Optuna's storages; each call is repeated until it is answered.

    All that a job asks and writes may be repeated: it sets values, and adds nothing.

    Args:
        storage: the storage itself.
        outage: tells of its beginning and its end, and when patience ends.
    """

    def __init__(self, storage: BaseStorage, outage: Outage) -> None:
        self._storage = storage
        self._outage = outage

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self._storage, name)
        return functools.partial(self._call, found) if callable(found) else found

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        is_repeated = False
        while True:
            try:
                answer = method(*args, **kwargs)
            except AWAY as error:
                is_repeated = True
                _wait(self._outage, error)
            except UpdateFinishedTrialError:
                # The first time it was stored, and the answer was lost.
                if is_repeated and self._is_state(*args, **kwargs):
                    return True
                raise
            else:
                self._outage.is_over()
                return answer

    def _is_state(self, trial_id: int, state: Any = None, *_: Any, **__: Any) -> bool:
        trial = self._call(self._storage.get_trial, trial_id)
        return bool(trial.state == state)


@functools.lru_cache(maxsize=8)
def open_patiently(
    url: str, notes: tuple[str, ...] | None = None, of_unfinished: bool = True
) -> BaseStorage:
    """Open the storage of a study that is there, once a process; wait while its server is away.

    Args:
        url: of the storage.
        notes: read no parameters of trials, and of their user attributes these alone, where the
            storage can tell them apart; None: all.
        of_unfinished: with `notes`, whether trials that run are read too.

    Raises:
        UserError: it cannot be opened for another reason.
        optuna.exceptions.StorageInternalError: it has been away for too long.
    """
    outage = Outage(log.warning)
    while True:
        try:
            opened = open_storage(url)
            if notes is not None and isinstance(opened, TableStorage):
                opened = opened.only_curves(notes, of_unfinished)
            storage = get_storage(opened)
        except UserError as error:
            if not _is_away(url, error):
                raise
            _wait(outage, error)
        else:
            outage.is_over()
            return cast(BaseStorage, PatientStorage(storage, outage))


def _is_away(url: str, error: UserError) -> bool:
    told = str(error.__cause__)
    is_known = isinstance(error.__cause__, AWAY) and not any(word in told for word in REFUSALS)
    return is_known and not is_file(parse_url(url))


def _wait(outage: Outage, error: Exception) -> None:
    try:
        outage.wait(error)
    except UserError:
        # For whoever runs the job, who tries such a trial again.
        raise error from None
