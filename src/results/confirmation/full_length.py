"""What the best trial and the defaults came to when both were trained in full."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

import optuna

from doctune.words import counted
from src.results.confirmation.judge import PairedDifference, corrected_resampled_t

# Where a study keeps it.
ATTRIBUTE = "trained_in_full"


@dataclass(frozen=True)
class FullLength:
    """Macro-F1 of two trials after `trainer.max_epochs`, on folds of the search.

    Args:
        trial: the number of the best.
        defaults: the number of the trial with the config's own values.
        epochs: that both trained.
        folds: into how many parts the images are cut.
        best_scores: of the best, one a fold that was trained: the first few of them.
        default_scores: of the defaults, on the same folds.
    """

    trial: int
    defaults: int
    epochs: int
    folds: int
    best_scores: Sequence[float]
    default_scores: Sequence[float]

    @property
    def differences(self) -> list[float]:
        """Return by how much the best is ahead on each fold."""
        return [a - b for a, b in zip(self.best_scores, self.default_scores, strict=True)]

    @property
    def mean(self) -> float:
        """Return by how much it is ahead on average."""
        return fmean(self.differences)

    @property
    def gain(self) -> PairedDifference | None:
        """Return the same with its interval; None where one fold says nothing of how sure it is."""
        return corrected_resampled_t(self.differences, self.folds)

    @property
    def is_clear(self) -> bool:
        """Tell whether the best is ahead by more than folds differ."""
        return self.gain is not None and self.mean > 0 and self.gain.is_clear

    @property
    def sentence(self) -> str:
        """Say plainly what came out."""
        made = len(self.best_scores)
        where = f"the same {counted(made, 'fold')}" if made == self.folds else _some(made)
        between = ""
        if self.gain is not None:
            ahead = sum(difference > 0 for difference in self.differences)
            between = (
                f"; ahead on {ahead} of {made}, 95 % interval {self.gain.low:+.4f} to "
                f"{self.gain.high:+.4f}"
            )
        return (
            f"Trained in full ({counted(self.epochs, 'epoch')}) on {where}, trial {self.trial} has "
            f"{fmean(self.best_scores):.4f} and the defaults {fmean(self.default_scores):.4f} "
            f"({self.mean:+.4f}{between})."
        )

    def keep(self, study: optuna.Study) -> None:
        """Store it with its study."""
        study.set_user_attr(ATTRIBUTE, asdict(self))

    @classmethod
    def of(cls, study: optuna.Study, best: int, defaults: int, epochs: int) -> "FullLength | None":
        """Return what a study keeps of these two trials after so many epochs; None without it."""
        stored = study.user_attrs.get(ATTRIBUTE)
        same = {"trial": best, "defaults": defaults, "epochs": epochs}
        return cls(**stored) if stored and same.items() <= stored.items() else None


def _some(made: int) -> str:
    return "the first of the same folds" if made == 1 else f"the first {made} of the same folds"
