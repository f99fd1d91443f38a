"""The micro-batches that worked after memory had run out, kept for later trials of any study.

A JSON file beside the studies, not an attribute of one of them: what fits depends on model, image
size and card alone. A lock beside it makes concurrent workers take turns.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from omegaconf import DictConfig, OmegaConf

from doctune.files import write_text
from src.hardware.memory import GIB

log = logging.getLogger(__name__)

FILE = "micro_batches.json"
# With so many times more memory at hand than then, the whole batch is worth another try.
MUCH_MORE = 1.2


@dataclass(frozen=True)
class Worked:
    """How a training step fitted in the end."""

    micro_batch: int
    checkpointing: bool
    # What the process could have of its card: other programs on it come and go. 0 on a CPU.
    room_gb: float

    def helps(self, batch_size: int) -> bool:
        """Tell whether a batch of that size is trained in another way than as a whole."""
        same = self.micro_batch == batch_size
        return self.micro_batch < batch_size or (same and self.checkpointing)


class WorkedSizes:
    """What worked for the model, image size, precision and card of a config.

    Args:
        cfg: the whole config.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self._file = Path(cfg.paths.multirun_dir) / FILE
        self._on_cuda = cfg.trainer.accelerator != "cpu" and torch.cuda.is_available()
        model: Any = OmegaConf.to_container(cfg.model.kwargs, resolve=True)
        card = torch.cuda.get_device_name() if self._on_cuda else "cpu"
        parts = [cfg.model.name, *([json.dumps(model, sort_keys=True)] if model else [])]
        self._key = ", ".join([*parts, f"{cfg.data.img_size} px", cfg.trainer.precision, card])

    def find(self) -> Worked | None:
        """Return what is worth starting with, None where nothing is known."""
        kept = self._read().get(self._key)
        try:
            found = None if kept is None else Worked(**kept)
        except TypeError:
            return None
        return None if found and self.room_gb() > MUCH_MORE * found.room_gb > 0 else found

    def keep(self, micro_batch: int, checkpointing: bool) -> None:
        """Write down what has worked."""
        worked = Worked(micro_batch, checkpointing, round(self.room_gb(), 2))
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self._file}.lock"):
            known = {**self._read(), self._key: asdict(worked)}
            # Readers take no lock: they see the old file or the new one.
            write_text(self._file, json.dumps(known, indent=2) + "\n")

    def room_gb(self) -> float:
        """Return what this process has of its card and could still get; 0 on a CPU."""
        if not self._on_cuda:
            return 0.0
        free, _ = torch.cuda.mem_get_info()
        return (free + torch.cuda.memory_reserved()) / GIB

    def _read(self) -> Mapping[str, Any]:
        try:
            found: Any = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
