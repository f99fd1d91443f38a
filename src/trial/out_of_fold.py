"""What a trial's models say of the images that they have not been trained on.

Kept beside the trial's log as `oof.npz`, for the report's confusion matrix and for ensembles.
It is written after every fold, so that a trial that is cut off keeps what it has. Where pages are
scored under wear it is about the worn pages, and `oof_clean.npz` about the same ones as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from src.data.image_set import ImageSet

FILE, CLEAN = "oof.npz", "oof_clean.npz"

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class OutOfFold:
    """Out-of-fold predictions of one trial, one row an image.

    Args:
        rows: int64 [N], the images' rows in their source; draw d of a worn page that is row r of M
            has the row r + d * M.
        labels: int64 [N], true classes.
        folds: int64 [N], the fold in which an image was held out.
        scores: float32 [N, C], log-probabilities after the fold's last epoch: probabilities would
            lose what a confident mistake costs.
        classes: names, in the order of the labels.
    """

    rows: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    folds: npt.NDArray[np.int64]
    scores: Scores
    classes: tuple[str, ...]

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """Return float64 [N, C], in which what a confident mistake costs does not round to 0."""
        found: npt.NDArray[np.float64] = np.exp(self.scores.astype(np.float64))
        return found

    @classmethod
    def empty(cls, classes: Sequence[str]) -> OutOfFold:
        """Return predictions of no fold yet."""
        none = np.empty(0, np.int64)
        return cls(none, none, none, np.empty((0, len(classes)), np.float32), tuple(classes))

    def with_fold(self, held_out: ImageSet, scores: Scores) -> OutOfFold:
        """Return these and the next fold's.

        Args:
            held_out: the images of the fold.
            scores: [len(held_out), C], in the same order.
        """
        fold = self.folds.max(initial=-1) + 1
        return OutOfFold(
            np.concatenate([self.rows, held_out.rows]),
            np.concatenate([self.labels, held_out.labels]),
            np.concatenate([self.folds, np.full(len(held_out), fold)]),
            np.concatenate([self.scores, scores]),
            self.classes,
        )

    def first_folds(self, count: int) -> OutOfFold:
        """Return the predictions of the first `count` folds alone."""
        chosen = self.folds < count
        return OutOfFold(
            self.rows[chosen],
            self.labels[chosen],
            self.folds[chosen],
            self.scores[chosen],
            self.classes,
        )

    def confusion(self) -> npt.NDArray[np.int64]:
        """Return how often each class [true] was taken for each [predicted], int64 [C, C]."""
        size = len(self.classes)
        cells = self.labels * size + self.scores.argmax(1)
        return np.bincount(cells, minlength=size * size).reshape(size, size)

    def save(self, folder: Path, file: str = FILE) -> None:
        """Write `oof.npz`, or `oof_clean.npz`."""
        np.savez_compressed(
            folder / file,
            rows=self.rows,
            labels=self.labels,
            folds=self.folds,
            scores=self.scores,
            classes=np.array(self.classes),
        )

    @classmethod
    def load(cls, folder: Path, file: str = FILE) -> OutOfFold:
        """Read `oof.npz` of a trial's folder, or `oof_clean.npz`.

        Raises:
            FileNotFoundError: the trial left none.
        """
        with np.load(folder / file, allow_pickle=False) as stored:
            return cls(
                rows=stored["rows"],
                labels=stored["labels"],
                folds=stored["folds"],
                # Earlier versions kept probabilities in float16.
                scores=stored["scores"] if "scores" in stored else log_of(stored["probabilities"]),
                classes=tuple(str(name) for name in stored["classes"]),
            )


def log_of(probabilities: npt.NDArray[Any]) -> Scores:
    """Return log-probabilities, float32, of float16 probabilities, none of which is taken for 0."""
    least = np.finfo(np.float16).smallest_subnormal
    found: Scores = np.log(np.maximum(probabilities.astype(np.float32), np.float32(least)))
    return found
