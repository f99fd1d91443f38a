"""The keys of `hydra/sweeper: optuna_async`: the stock Optuna sweeper's, and ours."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra_plugins.hydra_optuna_sweeper.config import OptunaSweeperConf

from doctune import SWEEPER
from doctune.errors import UserError
from doctune.study.keys import StudyKeys, limited
from doctune.words import did_you_mean


@dataclass
class OptunaAsyncSweeperConf(StudyKeys, OptunaSweeperConf):  # type: ignore[misc]
    """All keys of `hydra/sweeper: optuna` keep their meaning; those of a study and these are added.

    `AsyncSweeper` takes it whole, so nothing is declared a second time.
    """

    _target_: str = SWEEPER

    # A proposal equal to a finished trial takes over its result; false for jobs without a seed.
    reuse_duplicates: bool = True
    # One more process for a study that another one has made: what is kept with the study and what
    # is written at the end are left to that one.
    join: bool = False
    # Seconds between signs of life; when six are missing, a process elsewhere counts as dead.
    heartbeat: float = limited(10.0, low=0.01)
    # TPE proposes from so many finished trials at most, a tenth of them the best ever, the others
    # the latest: what asking costs does not grow with them (doctune/study/window.py). null: all.
    sampler_trials: int | None = limited(1000, low=100)
    # Any of optuna.pruners, as {_target_: ...}; asked at every report of a job.
    pruner: Any = None
    prune: bool = True
    # Share of the trials that the pruner would end which go on all the same: they tell whether it
    # is right. 0: none.
    let_through: float = limited(0.0, low=0, high=1)
    # Typed entries: {name: {type, key, low, high | choices, unless, when}}.
    search_space: Any = None
    # What makes scores comparable; a study refuses to go on under other values.
    settings: Any = None
    # Of `settings` that were added later: their values in studies that do not know them.
    assumed_settings: Any = None
    # Keys of a job's config that only say where something is: a study follows them, `settings`
    # say whether it is still the same.
    places: Any = None
    # Called with (config, an iterator that composes job configs that hold every choice) before the
    # app works out what is searched (`unless: ${...:}`), which may take its time; may raise for the
    # user to read. A context manager that it returns is entered, and left before the first trial or
    # when the search is refused: what the app does meanwhile.
    on_command: str | None = None
    # Called with (config, job configs that hold every choice) before the study is opened; may
    # raise for the user to read; what it returns (JobNeeds of `doctune.launcher.workers.packing`)
    # helps a launcher that packs several jobs on a device.
    on_start: str | None = None
    # Called with (study, folder, config) when the search ends.
    on_end: str | None = None
    # Called behind it with (study, folder, config, seconds left of `timeout` or None) when the
    # search has ended by itself, for what takes its time: Ctrl-C ends it as anything else.
    on_complete: str | None = None
    # Run the config's own values first, so that the gain over them is known.
    start_with_defaults: bool = False
    # What the values of a trial are called, in the dashboard and in reports.
    metric_names: Any = None
    # {share, at_least, margin, widen, limits, same}: search around the best of `from_study`
    # alone; doctune/space/focus.py states the rule.
    focus: Any = None

    @property
    def of_stock(self) -> dict[str, Any]:
        """Return what the stock sweeper is made of beside its sampler."""
        ours = ("_target_", "defaults", "sampler")
        names = [one.name for one in fields(OptunaSweeperConf) if one.name not in ours]
        return {name: getattr(self, name) for name in names}


def read_keys(given: Mapping[str, Any]) -> OptunaAsyncSweeperConf:
    """Return the keys as Hydra hands them to the plugin, typed.

    Raises:
        UserError: there is no such key, as in an app's file that is not built on the schema.
    """
    names = [one.name for one in fields(OptunaAsyncSweeperConf)]
    for name in given:
        if name not in names:
            hint = did_you_mean(name, names)
            raise UserError(f"hydra.sweeper.{name}: there is no such key{hint}")
    return OptunaAsyncSweeperConf(**given)


# Twice: an app that has a file of that name builds it on the schema.
for name in ("optuna_async", "optuna_async_schema"):
    ConfigStore.instance().store(
        group="hydra/sweeper",
        name=name,
        node=OptunaAsyncSweeperConf,
        provider="optuna_async",
    )
