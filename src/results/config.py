"""The keys of the doors that take a study: `src.report`, `src.confirm` and their like."""

from dataclasses import dataclass, field

from hydra.core.config_store import ConfigStore

from src.trial.config import PathsConfig

EXAMPLES = 4


@dataclass
class StorageConfig:
    """Where studies are kept; the same key as in a search."""

    storage: str = "sqlite:///multirun/optuna.db"


@dataclass
class StudyDoorConfig:
    """What every door that takes a study needs; a door of its own inherits from it."""

    # Name of the study, as the search has printed it.
    study: str | None = None
    optuna: StorageConfig = field(default_factory=StorageConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)


@dataclass
class ReportConfig(StudyDoorConfig):
    """The keys of `src.report`."""

    # Images in the report for each pair of confused classes; 0 leaves them out.
    examples: int = EXAMPLES


ConfigStore.instance().store(name="report_schema", node=ReportConfig)
