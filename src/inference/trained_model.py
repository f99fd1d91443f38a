"""Test-time augmentation: the views of an image whose probabilities are averaged.

For documents that are read upright: as it is, skewed by 2 degrees either way, and 5 % closer and
farther, which is how one page differs from scan to scan. Mirrored or turned pages are no
documents that anybody scans, so such a view is added only where training has shown it to the
model (`augment.hflip`, `.vflip`, `.half_turn`, `.quarter_turn`).

The model of a finished run, opened without network and without running code from its files.

A run's folder holds what is needed: `config.yaml` (architecture, image size, normalisation),
`classes.json` and `best.ckpt`, of which only tensors are read.
"""

import json
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor, nn
from torch.nn import functional as F

from doctune.errors import UserError, first_line
from src.data.augment import Normalize
from src.inference.config import ENSEMBLE, check_run
from src.training.backbone import channels_last, create_backbone
from src.training.config import ModelConfig

View = Callable[[Tensor], Tensor]

# Degrees, and how much larger the page is seen.
POSES = ((-2.0, 1.0), (2.0, 1.0), (0.0, 1.05), (0.0, 0.95))
# Key of the group `augment` -> the exact turns that it may make, of [B, 3, H, W].
TURNS: dict[str, tuple[View, ...]] = {
    "hflip": (partial(torch.flip, dims=(3,)),),
    "vflip": (partial(torch.flip, dims=(2,)),),
    "half_turn": (partial(torch.rot90, k=2, dims=(2, 3)),),
    "quarter_turn": tuple(partial(torch.rot90, k=k, dims=(2, 3)) for k in (1, 3)),
}
# The columns of predictions where training images were sorted into folders.
COLUMNS = ("ID", "target")
# Precision of Lightning's -> what a model computes in.
MIXED = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}
WHOLE = {"16-true": torch.float16, "bf16-true": torch.bfloat16, "64-true": torch.float64}


def make_views(augment: DictConfig) -> list[View]:
    """Return the views, each from float [B, 3, H, W] to the same shape; the first changes nothing.

    Args:
        augment: the group that the model was trained with.
    """
    strength = augment.get("strength", 1.0)
    turns = [
        turn for key, found in TURNS.items() if strength * augment.get(key, 0) > 0 for turn in found
    ]
    return [_same, *(partial(_posed, degrees=d, zoom=z) for d, z in POSES), *turns]


def _same(images: Tensor) -> Tensor:
    return images


def _posed(images: Tensor, degrees: float, zoom: float) -> Tensor:
    cos, sin = math.cos(math.radians(degrees)) / zoom, math.sin(math.radians(degrees)) / zoom
    matrix = images.new_tensor([[cos, -sin, 0], [sin, cos, 0]]).expand(len(images), 2, 3)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


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
        # What a table of its data calls the columns of names and of classes.
        from_table = cfg.data.get("source") == "csv"
        self.columns = (cfg.data.id_column, cfg.data.target_column) if from_table else COLUMNS
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
        reason = first_line(error)
        raise UserError(
            f"run={folder}: does not fit this version of the program ({reason}); use the one "
            "that trained it"
        ) from error


def _part(folder: Path, name: str) -> Path:
    path = folder / name
    if path.is_file():
        return path
    check_run(str(folder))
    why = {
        "config.yaml": "give the folder of a run (outputs/<date>) or of an ensemble",
        "classes.json": "the run has not ended, or was made by an older version",
        "best.ckpt": "the run has kept no weights (callbacks.checkpoint=false), or has not ended",
    }[name]
    inside = folder / "ensemble"
    if name == "config.yaml" and (inside / ENSEMBLE).is_file():
        why = f"the ensemble of this study is run={inside}"
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
