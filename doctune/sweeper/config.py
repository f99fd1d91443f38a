"""The keys of `hydra/sweeper: optuna_async`: the stock Optuna sweeper's, and ours."""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra_plugins.hydra_optuna_sweeper.config import OptunaSweeperConf

from doctune import SWEEPER


@dataclass
class OptunaAsyncSweeperConf(OptunaSweeperConf):
    """All keys of `hydra/sweeper: optuna` keep their meaning; below is what is added."""

    _target_: str = SWEEPER

    # Trials at a time; null: as many as the launcher has workers, 2 where it does not say.
    n_jobs: int | None = None  # type: ignore[assignment]
    # false: no search, one job with the config as it stands.
    enabled: bool = True
    # Seconds; no trial starts after it and those that run end at their next report.
    timeout: float | None = None
    # Seconds for one trial: over them it ends at its next report; one that hangs is killed.
    trial_timeout: float | None = None
    # How often a trial is tried again after a fault that may be gone then, as a killed worker.
    retries: int = 1
    # Whether a failed trial is one of the n_trials.
    count_failed: bool = True
    # A proposal equal to a finished trial takes over its result; false for jobs without a seed.
    reuse_duplicates: bool = True
    # One more process for a study that another one has made: what is kept with the study and what
    # is written at the end are left to that one.
    join: bool = False
    # Go on although `settings` have changed.
    accept_changes: bool = False
    # Seconds between signs of life; when six are missing, a process elsewhere counts as dead.
    heartbeat: float = 10.0
    # Any of optuna.pruners, as {_target_: ...}; asked at every report of a job.
    pruner: Any = None
    prune: bool = True
    # Typed entries: {name: {type, key, low, high | choices, unless, when}}.
    search_space: Any = None
    # What makes scores comparable; a study refuses to go on under other values.
    settings: Any = None
    # Keys of a job's config that only say where something is: a study follows them, `settings`
    # say whether it is still the same.
    places: Any = None
    # Called with (config, job configs that hold every choice) before the study is opened; may
    # raise for the user to read; what it returns (JobNeeds of doctune/launcher/packing.py) helps
    # a launcher that packs several jobs on a device.
    on_start: str | None = None
    # Called with (study, folder, config) when the search ends.
    on_end: str | None = None
    # Run the config's own values first, so that the gain over them is known.
    start_with_defaults: bool = False
    # What the values of a trial are called, in the dashboard and in reports.
    metric_names: Any = None
    # A study of the same storage, or a YAML file of parameters: a new study tries its best first.
    from_study: str | None = None
    from_study_trials: int = 5
    # {share, at_least, margin, widen, limits, same}: search around the best of `from_study`
    # alone; doctune/space/focus.py states the rule.
    focus: Any = None


# Twice: an app that has a file of that name builds it on the schema.
for name in ("optuna_async", "optuna_async_schema"):
    ConfigStore.instance().store(
        group="hydra/sweeper",
        name=name,
        node=OptunaAsyncSweeperConf,
        provider="optuna_async",
    )
