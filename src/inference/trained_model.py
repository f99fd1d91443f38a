"""The model of a finished run, opened without network and without running code from its files.

A run's folder holds what is needed: `config.yaml` (architecture, image size, normalisation),
`classes.json` and `best.ckpt`, of which only tensors are read.
"""

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor, nn

from src.data.augment import Normalize
from src.errors import UserError
from src.inference.views import make_views
from src.training.backbone import channels_last, create_backbone
from src.training.config import ModelConfig

# Precision of Lightning's -> what a model computes in.
MIXED = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}
WHOLE = {"16-true": torch.float16, "bf16-true": torch.bfloat16, "64-true": torch.float64}


@dataclass(frozen=True)
class ImageFormat:
    """How a model wants its images decoded: square side in pixels, and `data.fit`."""

    size: int
    fit: str


class TrainedModel(nn.Module):
    """uint8 [B, 3, H, W], as decoded, to probabilities float32 [B, C].

    It computes in the precision that it was trained and scored in.

    Args:
        cfg: the run's whole config.
        classes: names, in the order of the scores.
        codes: what the data call the classes where that is not their name, or nothing.
        weights: of the timm model, by name.

    Raises:
        UserError: the config or the weights are not of this version of the program.
    """

    def __init__(
        self,
        cfg: DictConfig,
        classes: tuple[str, ...],
        codes: tuple[str, ...],
        weights: dict[str, Tensor],
    ) -> None:
        super().__init__()
        self.classes = classes
        self.codes = codes
        self.format = ImageFormat(cfg.data.img_size, cfg.data.get("fit", "pad"))
        self.name: str = cfg.model.name
        self._mixed = MIXED.get(cfg.trainer.precision)
        # A CPU has no float16 for Lightning, which trains in bfloat16 there.
        on_cpu = cfg.trainer.accelerator == "cpu"
        self._mixed_on_cpu = torch.bfloat16 if on_cpu and self._mixed else self._mixed
        self.normalize = Normalize(list(cfg.augment.mean), list(cfg.augment.std))
        self.views = make_views(cfg.augment)
        self.model = create_backbone(_untrained(cfg), len(classes), self.format.size)
        self.model.load_state_dict(weights)
        if cfg.trainer.channels_last:
            channels_last(self.model)
        whole = WHOLE.get(cfg.trainer.precision)
        if whole is not None:
            self.normalize, self.model = self.normalize.to(whole), self.model.to(whole)
        self.eval()

    def in_float32(self) -> None:
        """Compute in float32 from now on, whatever it was trained in."""
        self._mixed = self._mixed_on_cpu = None
        self.float()

    def forward(self, images: Tensor, tta: bool = False) -> Tensor:
        """Return probabilities; with `tta` their mean over the views of each image."""
        images = self.normalize(images)
        if not tta:
            return self._probabilities(images)
        found = [self._probabilities(view(images)) for view in self.views]
        return torch.stack(found).mean(0)

    def _probabilities(self, images: Tensor) -> Tensor:
        kind = images.device.type
        dtype = self._mixed_on_cpu if kind == "cpu" else self._mixed
        # A model of float16 that comes from a card is nearer to float32 than to bfloat16.
        use = dtype is not None and not (kind == "cpu" and dtype is torch.float16)
        with torch.autocast(kind, dtype or torch.bfloat16, enabled=use):
            scores: Tensor = self.model(images)
        return scores.float().softmax(1)


def load_run(folder: Path) -> TrainedModel:
    """Open the model of a run.

    Raises:
        UserError: the folder holds no finished run, or one of another version of the program.
    """
    cfg: Any = OmegaConf.load(_part(folder, "config.yaml"))
    named = json.loads(_part(folder, "classes.json").read_text(encoding="utf-8"))
    weights = _read_weights(_part(folder, "best.ckpt"))
    try:
        return TrainedModel(cfg, tuple(named["classes"]), tuple(named["codes"]), weights)
    except (OmegaConfBaseException, RuntimeError) as error:
        reason = next(iter(str(error).strip().splitlines()), "")
        raise UserError(
            f"run={folder}: does not fit this version of the program ({reason}); use the one "
            "that trained it"
        ) from error


def _part(folder: Path, name: str) -> Path:
    path = folder / name
    if path.is_file():
        return path
    if not folder.is_dir():
        raise UserError(f"run={folder}: there is no such folder")
    why = {
        "config.yaml": "give the folder of a run (outputs/<date>) or of an ensemble",
        "classes.json": "the run has not ended, or was made by an older version",
        "best.ckpt": "the run has kept no weights (callbacks.checkpoint=false), or has not ended",
    }[name]
    raise UserError(f"run={folder}: there is no {name} in it; {why}")


def _untrained(cfg: DictConfig) -> ModelConfig:
    """Return the model's config without sources of first weights: the run's own replace them."""
    model: Any = OmegaConf.merge(OmegaConf.structured(ModelConfig), cfg.model)
    model.pretrained = False
    model.checkpoint_path = None
    model.grad_checkpointing = False
    return model  # type: ignore[no-any-return]


def _read_weights(path: Path) -> dict[str, Tensor]:
    """Read the timm model's tensors of a checkpoint; it is the Classifier's attribute `model`."""
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
        named: dict[str, Tensor] = content["state_dict"]
    except (pickle.UnpicklingError, EOFError, KeyError, RuntimeError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"{path}: is no checkpoint of weights ({reason})") from error
    prefix = "model."
    return {
        name.removeprefix(prefix).removeprefix("_orig_mod."): tensor
        for name, tensor in named.items()
        if name.startswith(prefix)
    }
