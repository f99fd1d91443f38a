"""What predicts: one run, or the weighted mean of the probabilities of several."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from doctune.errors import UserError
from src.inference.config import ENSEMBLE
from src.inference.trained_model import ImageFormat, TrainedModel, load_run
from src.inference.unsure import ALL, unsure


@dataclass(frozen=True)
class Predictor:
    """Trained models with weights that add up to 1."""

    members: Sequence[TrainedModel]
    weights: Sequence[float]
    device: torch.device
    # Pages with a smaller margin are predicted from several views; 0: none is.
    tta_margin: float = 0.0

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes, in the order of the probabilities."""
        return self.members[0].classes

    @property
    def codes(self) -> tuple[str, ...]:
        """Return what the data call the classes where that is not their name, or nothing."""
        return self.members[0].codes

    @property
    def formats(self) -> list[ImageFormat]:
        """Return how images have to be decoded: once for each image size among the members."""
        return list(dict.fromkeys(member.format for member in self.members))

    def describe(self) -> str:
        """Say in a few words what it is."""
        names = " + ".join(dict.fromkeys(member.name for member in self.members))
        sizes = "/".join(str(format.size) for format in self.formats)
        several = f"ensemble of {len(self.members)}: " if len(self.members) > 1 else ""
        tta = ""
        if self.tta_margin > 0:
            of = "all pages" if self.tta_margin >= ALL else f"margins below {self.tta_margin}"
            tta = f", test-time augmentation of {of}"
        return f"{several}{names}, {sizes} px, {len(self.classes)} classes{tta}"

    @property
    def views(self) -> int:
        """Return how many views of a page test-time augmentation makes, at most."""
        return max(len(member.views) for member in self.members)

    def probabilities(self, images: Mapping[ImageFormat, Tensor]) -> Tensor:
        """Return float32 [B, C] on the CPU.

        Args:
            images: the same images in every one of `formats`, uint8 [B, 3, H, W].
        """
        return self.with_cost(images)[0]

    @torch.inference_mode()
    def with_cost(self, images: Mapping[ImageFormat, Tensor]) -> tuple[Tensor, int]:
        """Return the same, and how many images were predicted from several views."""
        there = {key: batch.to(self.device, non_blocking=True) for key, batch in images.items()}
        total = self._mean(there, tta=False)
        if self.tta_margin <= 0:
            return total.cpu(), 0
        rows = unsure(total, self.tta_margin).nonzero()[:, 0]
        if len(rows):
            total[rows] = self._mean({key: batch[rows] for key, batch in there.items()}, tta=True)
        return total.cpu(), len(rows)

    def _mean(self, images: Mapping[ImageFormat, Tensor], tta: bool) -> Tensor:
        total = torch.zeros((), device=self.device)
        for member, weight in zip(self.members, self.weights, strict=True):
            total = total + weight * member(images[member.format], tta)
        return total


def open_predictor(
    folder: Path, accelerator: str = "auto", tta: bool = False, tta_margin: float | None = None
) -> Predictor:
    """Open the folder of a run or of an ensemble.

    Args:
        folder: `outputs/<run>`, or what `src.ensemble` has written.
        accelerator: auto, cpu, cuda or mps.
        tta: average over the views of images whose prediction is unsure.
        tta_margin: which they are; None: as the ensemble has found, or all of them.

    Raises:
        UserError: the folder holds neither, a member is broken, or there is no such device.
    """
    device = choose_device(accelerator)
    runs, weights, found = [folder], [1.0], None
    if (folder / ENSEMBLE).is_file():
        kept = json.loads((folder / ENSEMBLE).read_text(encoding="utf-8"))
        listed, found = kept["members"], (kept.get("tta") or {}).get("margin")
        runs = [folder / member["run"] for member in listed]
        weights = [float(member["weight"]) for member in listed]
    members = [load_run(run).to(device) for run in runs]
    for run, member in zip(runs, members, strict=True):
        if member.classes != members[0].classes:
            raise UserError(f"run={folder}: {run.name} was trained on other classes than the rest")
    total = sum(weights)
    margin = tta_margin if tta_margin is not None else found or ALL
    shares = [weight / total for weight in weights]
    return Predictor(members, shares, device, margin if tta else 0.0)


def choose_device(accelerator: str) -> torch.device:
    """Return the device of that name, for auto the fastest that is there.

    Raises:
        UserError: this machine has no such device.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if accelerator == "auto":
        return torch.device(next(name for name, is_there in there.items() if is_there))
    wanted = "cuda" if accelerator == "gpu" else accelerator
    if wanted not in there:
        raise UserError(f"accelerator={accelerator}: choose auto, {', '.join(there)}")
    if not there[wanted]:
        raise UserError(f"accelerator={accelerator}: this machine has none; use accelerator=auto")
    return torch.device(wanted)
