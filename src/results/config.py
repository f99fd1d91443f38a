"""The keys of the doors that take a study: `src.report`, `src.confirm` and their like."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore

from src.before.config import PathsConfig
from src.data.config import DataConfig

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

    # A name, or several, [A, B], which are shown beside one another.
    study: Any = None
    # Images in the report for each pair of confused classes; 0 leaves them out.
    examples: int = EXAMPLES


@dataclass
class ConfirmConfig(StudyDoorConfig):
    """The keys of `src.confirm`."""

    # The best so many configurations run again, beside the defaults.
    top: int = 3
    # Fresh seeds, each with a fresh cut into folds.
    repeats: int = 3
    # As in the study where null.
    folds: int | None = None
    epochs: int | None = None
    # Trainings in full, each with a fresh seed, that are measured on the test split; 0: none.
    test_seeds: int = 3
    # Length of these; null: trainer.max_epochs of the study's config.
    max_epochs: int | None = None
    # Trainings at a time; null: as many as trials in a search, one a device.
    n_jobs: int | None = None
    # Other images than the study's: a group (data=image_folder) or keys (data.root=PATH).
    data: DataConfig = field(default_factory=DataConfig)


ConfigStore.instance().store(name="report_schema", node=ReportConfig)
ConfigStore.instance().store(name="confirm_schema", node=ConfirmConfig)
