"""What predicts: one run, or the weighted mean of the probabilities of several.

Their probabilities are given the temperature that was found for the run, or for the mean of the
ensemble (`src/training/calibration.py`). It changes no class.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from doctune.errors import UserError
from src.inference.config import ENSEMBLE
from src.inference.trained_model import ImageFormat, TrainedModel, load_run
from src.inference.unsure import ALL, unsure
from src.training.calibration import FILE


@dataclass(frozen=True)
class Predictor:
    """Trained models with weights that add up to 1."""

    members: Sequence[TrainedModel]
    weights: Sequence[float]
    device: torch.device
    # Pages with a smaller margin are predicted from several views; 0: none is.
    tta_margin: float = 0.0
    # Of the probabilities; 1 leaves them as the models give them.
    temperature: float = 1.0

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes, in the order of the probabilities."""
        return self.members[0].classes

    @property
    def codes(self) -> tuple[str, ...]:
        """Return what the data call the classes where that is not their name, or nothing."""
        return self.members[0].codes

    @property
    def columns(self) -> tuple[str, str]:
        """Return what the data call the columns of names and of classes."""
        return self.members[0].columns

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
        hot = "" if self.temperature == 1 else f", temperature {self.temperature:.2f}"
        return f"{several}{names}, {sizes} px, {len(self.classes)} classes{tta}{hot}"

    @property
    def views(self) -> int:
        """Return how many views of a page test-time augmentation makes, at most."""
        return max(len(member.views) for member in self.members)

    def probabilities(self, images: Mapping[ImageFormat, Tensor]) -> Tensor:
        """Return float32 [B, C] on the CPU, with the temperature.

        Args:
            images: the same images in every one of `formats`, uint8 [B, 3, H, W].
        """
        return self.calibrated(self.with_cost(images)[0])

    def calibrated(self, probabilities: Tensor) -> Tensor:
        """Return probabilities [B, C] with the temperature."""
        return cooled(probabilities, self.temperature)

    @torch.inference_mode()
    def with_cost(self, images: Mapping[ImageFormat, Tensor]) -> tuple[Tensor, int]:
        """Return the same without, and how many images were predicted from several views."""
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


def cooled(probabilities: Tensor, temperature: float) -> Tensor:
    """Return float [B, C] that a softmax of logits, divided by the temperature, would have given.

    Args:
        probabilities: [B, C], of a softmax or a mean of several.
        temperature: above 0.
    """
    if temperature == 1:
        return probabilities
    least = torch.finfo(probabilities.dtype).tiny
    return (probabilities.clamp(min=least).log() / temperature).softmax(1)


def open_predictor(
    folder: Path,
    accelerator: str = "auto",
    tta: bool = False,
    tta_margin: float | None = None,
    calibrated: bool = True,
) -> Predictor:
    """Open the folder of a run or of an ensemble.

    Args:
        folder: `outputs/<run>`, or what `src.ensemble` has written.
        accelerator: auto, cpu, cuda or mps.
        tta: average over the views of images whose prediction is unsure.
        tta_margin: which they are; None: as the ensemble has found, or all of them.
        calibrated: with the temperature that was found, if there is one; older runs have none.

    Raises:
        UserError: the folder holds neither, a member is broken, or there is no such device.
    """
    device = choose_device(accelerator)
    runs, weights, found = [folder], [1.0], None
    # Of a single run it was found without further views, which make it a little less sure.
    facts = _json(folder / FILE)
    if (folder / ENSEMBLE).is_file():
        kept = _json(folder / ENSEMBLE)
        listed, found = kept["members"], (kept.get("tta") or {}).get("margin")
        of_both = kept.get("calibration") or {}
        facts = (of_both.get("tta") if tta else None) or of_both.get("plain") or {}
        runs = [folder / member["run"] for member in listed]
        weights = [float(member["weight"]) for member in listed]
    members = [load_run(run).to(device) for run in runs]
    for run, member in zip(runs, members, strict=True):
        if member.classes != members[0].classes:
            raise UserError(f"run={folder}: {run.name} was trained on other classes than the rest")
    total = sum(weights)
    wanted = tta_margin if tta_margin is not None else found
    # 0, where an ensemble has found that more views help on no page.
    margin = ALL if wanted is None else wanted
    shares = [weight / total for weight in weights]
    temperature = float(facts.get("temperature", 1.0)) if calibrated else 1.0
    return Predictor(members, shares, device, margin if tta else 0.0, temperature)


def _json(path: Path) -> dict[str, Any]:
    """Read a file; of one that is not there, nothing."""
    if not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


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
