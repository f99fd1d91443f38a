"""How good members of an ensemble and all together are on images that no selection has seen."""

from dataclasses import dataclass

import numpy as np
import torch

from src.data.image_set import ImageSet
from src.data.loader import BatchLoader
from src.inference.trained_model import TrainedModel
from src.results.selection import Floats, Labels, macro_f1

RESAMPLES = 1000
COVERED = 95


@dataclass(frozen=True)
class Gain:
    """A difference of macro-F1, with the interval that holds 95 % of its bootstrap resamples."""

    mean: float
    low: float
    high: float


@torch.inference_mode()
def predict_set(model: TrainedModel, images: ImageSet, batch_size: int, tta: bool) -> Floats:
    """Return the probabilities [N, C] of a set of images, decoded as the model wants them."""
    device = next(model.parameters()).device
    batches = BatchLoader(images, batch_size, shuffle=False)
    found = [model(batch.to(device), tta).cpu() for batch, _ in batches]
    probabilities: Floats = torch.cat(found).numpy()
    return probabilities


def paired_gain(ours: Floats, theirs: Floats, labels: Labels, seed: int = 0) -> Gain:
    """Compare macro-F1 on the same images, resampled with replacement in pairs.

    Args:
        ours: probabilities [N, C].
        theirs: of what is compared with.
        labels: int64 [N].
        seed: of the resamples.
    """
    rng = np.random.default_rng(seed)
    differences = []
    for _ in range(RESAMPLES):
        rows = rng.integers(0, len(labels), len(labels))
        differences.append(
            macro_f1(ours[rows], labels[rows]) - macro_f1(theirs[rows], labels[rows])
        )
    rest = (100 - COVERED) / 2
    low, high = np.percentile(differences, [rest, 100 - rest])
    return Gain(macro_f1(ours, labels) - macro_f1(theirs, labels), float(low), float(high))
