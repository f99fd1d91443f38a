"""The whole config of a training and a search: every group's keys, and the guide's sections."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra_plugins.hydra_optuna_sweeper.config import OptunaSweeperConf
from omegaconf import MISSING, OmegaConf

from doctune.space.focus_rule import FocusRule
from doctune.study.keys import StudyKeys
from src.before import asked_of_timm as asked_of_timm  # registers resolvers of search spaces
from src.before import comparable as comparable  # registers the resolvers of `settings`
from src.before import elsewhere as elsewhere  # registers the schemas of conf/hydra/launcher
from src.before import objectives as objectives  # registers the resolver of conf/train.yaml
from src.before import sizes as sizes  # registers resolvers of conf/data and search spaces
from src.before import study_name as study_name  # registers the resolver of conf/train.yaml
from src.data.config import AugmentConfig, DataConfig
from src.hardware.config import GpuConfig
from src.training.config import (
    CallbacksConfig,
    LoggerConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    SchedulerConfig,
    TrainerConfig,
)


@dataclass
class StudyConfig(StudyKeys):
    """The study (guide section 3); `hydra.sweeper` takes its values from here.

    `StudyKeys` has the keys of any app's search, here are those that need an app that scores.
    """

    study_name: str = MISSING
    storage: str = MISSING
    # What is searched for: f1, accuracy, balanced_accuracy, worst_class_f1, log_loss; behind a
    # score also train_seconds and, under quick_validation.wear, f1_clean and its like. Pruning and
    # ranking follow the first one.
    objectives: list[str] = field(default_factory=lambda: ["f1"])
    # Follows from the objectives.
    direction: Any = "maximize"
    # With one objective, which trial is trained with: each_fold, the best mean among those that are
    # behind the defaults on no fold, else the defaults; or mean, the best mean (docs/curves.md).
    choose_by: str = "each_fold"
    # With several objectives, which trial of the Pareto front is trained with: tolerance, knee
    # or best_first; src/results/choose.py says how each decides.
    choose: str = "tolerance"
    # Share of the best first objective that `tolerance` gives up for the others.
    tolerance: float = 0.01
    # When the search has ended and time is left, on how many of its folds the best and the defaults
    # train trainer.max_epochs, which trials do not: whether the gain lasts. 0: none.
    in_full: int = 0
    # Trials at a time: one a device, or the CPU's cores shared out.
    n_jobs: int = 1


@dataclass
class PruningConfig:
    """When a hopeless trial is ended early (guide section 3)."""

    enabled: bool = True
    # Epochs that every trial is given before it may be pruned, which then happens at the end of a
    # fold, and of a single split after two thirds of its epochs; hydra/sweeper/pruner=patient:
    # epochs without improvement.
    patience: int = 3
    # TPE's random start; also trials that are finished before any is pruned, with the pruners that
    # compare with complete ones: hydra/sweeper/pruner=median, percentile or patient.
    n_startup_trials: int = 5
    # Share of the trials that would be pruned which go on all the same, the 5th, 15th, 25th: how
    # they end tells whether pruning is right, and costs a tenth of what it saves. 0: none.
    let_through: float = 0.1


@dataclass
class QuickValidationConfig:
    """How a trial is scored: k-fold cross-validation at few epochs (guide section 3)."""

    epochs: int = 3
    # 1: a single split, which holds out a fifth.
    folds: int = 3
    # Optimizer steps of a fold at least, with the largest batch that is searched: where images are
    # few all trials train more epochs (docs/scores.md). Whoever types `epochs` alone gets these.
    min_steps: int = 0
    # Images that batch norm's statistics are taken over after epochs at which no trial is compared;
    # `trainer.precise_bn` after the others (docs/scores.md).
    precise_bn: int = 128
    # Seconds that a trial may train, all folds together, so that batch sizes, image sizes and
    # models are compared at equal cost: its epochs follow from its own speed, and `epochs` says at
    # how many equal shares of a fold it is reported (docs/scores.md). null: all train `epochs`.
    seconds: float | None = None
    # A batch size for trials alone; takes the batch size out of the search.
    batch_size_override: int | None = None
    # Wear that pages are scored under, wherever a score decides: none, a file of conf/augment
    # (light, document, heavy or one's own), auto (measured on data.to_classify), or keys of the
    # group as {rotate: 20, blur: 0.01}.
    wear: Any = "none"
    # In place of the preset's own strength.
    wear_strength: float | None = None
    # Times that each page is worn, every time otherwise.
    wear_draws: int = 1


@dataclass
class PathsConfig:
    """Folders of what runs write."""

    output_dir: str = "outputs"
    multirun_dir: str = "multirun"


@dataclass
class ExperimentConfig:
    """The root of `conf/train.yaml`."""

    seed: int = 42
    gpu: GpuConfig = field(default_factory=GpuConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    callbacks: CallbacksConfig = field(default_factory=CallbacksConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
    optuna: StudyConfig = field(default_factory=StudyConfig)
    pruning: PruningConfig = field(default_factory=PruningConfig)
    quick_validation: QuickValidationConfig = field(default_factory=QuickValidationConfig)
    search_space: dict[str, Any] = field(default_factory=dict)
    focus: FocusRule = field(default_factory=FocusRule)


# ${either:A,B,...} is the first that is not null.
OmegaConf.register_resolver(
    "either", lambda *of: next((value for value in of if value is not None), None), replace=True
)
ConfigStore.instance().store(name="experiment_schema", node=ExperimentConfig)
# For conf/hydra/sweeper/optuna.yaml, which has the stock sweeper's own name.
ConfigStore.instance().store(group="hydra/sweeper", name="optuna_schema", node=OptunaSweeperConf)
