"""The keys of `python -m src.ensemble`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore

from src.results.config import StudyDoorConfig

# The parts of the training config that may be changed for the members.
TRAINING = (
    *("seed", "gpu", "model", "data", "augment", "optimizer", "scheduler", "loss", "trainer"),
    *("callbacks", "logger"),
)


@dataclass
class EnsembleConfig(StudyDoorConfig):
    """The root of `conf/ensemble.yaml`."""

    # The best trials, from which members are chosen.
    candidates: int = 10
    # Different configurations at most.
    members: int = 5
    # Choices of the greedy selection.
    rounds: int = 25
    # Changes to the members' training: a tree like the training config's.
    train: dict[str, Any] = field(default_factory=dict)
    # Try the mean over slightly changed views of each image; kept if validation is better.
    tta: bool = False
    # auto, cpu, cuda, mps; for scoring.
    accelerator: str = "auto"
    batch_size: int = 64
    # The ensemble's folder; null: `ensemble` in the study's.
    output: str | None = None


def in_full(words: Sequence[str]) -> list[str]:
    """Write `trainer.max_epochs=30` on the command line out as `+train.trainer.max_epochs=30`."""
    return [
        f"+train.{word}" if word.partition("=")[0].partition(".")[0] in TRAINING else word
        for word in words
    ]


ConfigStore.instance().store(name="ensemble_schema", node=EnsembleConfig)
