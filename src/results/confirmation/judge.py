"""Differences between two configurations that were scored on the same folds.

Whether the gain holds: the figures of a confirmation, and the sentence that they allow.
"""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean, variance
from typing import Any

from scipy import stats

from doctune.errors import first_line
from doctune.words import counted

log = logging.getLogger(__name__)

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class PairedDifference:
    """A mean difference with its confidence interval, and the p-value of "no difference"."""

    mean: float
    low: float
    high: float
    p: float
    pairs: int

    @property
    def is_clear(self) -> bool:
        """Tell whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def corrected_resampled_t(
    differences: Sequence[float], folds: int, tails: int = 2
) -> PairedDifference | None:
    """Compare by the corrected resampled t-test.

    The training sets of the folds overlap, so their scores are not independent and a plain
    t-test finds differences where there are none. Nadeau & Bengio (Machine Learning 52, 2003)
    therefore add the ratio of held-out to training images to 1/n in the variance; Bouckaert &
    Frank (PAKDD 2004) recommend it for repeated k-fold cross-validation. With k folds that ratio
    is 1/(k-1).

    Args:
        differences: one a fold, or one a fold of every repetition.
        folds: k.
        tails: 2 asks for any difference, 1 for one above 0; the interval has two sides always.

    Returns:
        None with less than two differences, as then there is no spread to judge by.
    """
    n = len(differences)
    if n < 2:
        return None
    mean = fmean(differences)
    error = math.sqrt((1 / n + 1 / (folds - 1)) * variance(differences))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * error
    if error == 0:
        p = 1.0 if mean == 0 else 0.0
    else:
        t = mean / error
        p = float(stats.t.sf(t, n - 1) if tails == 1 else 2 * stats.t.sf(abs(t), n - 1))
    return PairedDifference(mean, mean - half, mean + half, p, n)


@dataclass(frozen=True)
class Contender:
    """One configuration against the defaults, on the same seeds and folds."""

    trial: int
    params: dict[str, Any]
    score: float
    gain: float
    low: float
    high: float
    # One-sided: how easily chance alone makes a gain so large; for all contenders together
    # (Holm, Scand. J. Statist. 6, 1979).
    p: float

    @property
    def holds(self) -> bool:
        """Tell whether the gain is more than chance."""
        return self.gain > 0 and self.p < SIGNIFICANCE


@dataclass(frozen=True)
class Confirmation:
    """All that a confirmation has found."""

    study: str
    data: str
    other_data: bool
    pairs: int
    folds: int
    epochs: int
    defaults_trial: int
    defaults_score: float
    # The best first.
    contenders: list[Contender]
    # Macro-F1 on the test split, a number a seed: of the winner, of the defaults.
    test_winner: list[float] = field(default_factory=list)
    test_defaults: list[float] = field(default_factory=list)
    # What pages were worn by before they were scored; empty: by nothing.
    wear: str = ""

    @property
    def winner(self) -> Contender:
        """Return the contender with the highest score in the fresh runs."""
        return self.contenders[0]

    @property
    def is_gone_in_full(self) -> bool:
        """Tell whether the winner is ahead no more where both were trained in full."""
        return bool(self.test_winner) and fmean(self.test_winner) <= fmean(self.test_defaults)

    @property
    def sentence(self) -> str:
        """Say plainly what came out."""
        best = self.winner
        figures = (
            f"{best.gain:+.4f} macro-F1 over the defaults (95 % interval {best.low:+.4f} to "
            f"{best.high:+.4f}, p = {best.p:.3f}, {self.pairs} fresh pairs)"
        )
        where = " on other data" if self.other_data else ""
        if best.holds:
            lasts = "The gain holds"
            if self.is_gone_in_full:
                lasts = f"After {counted(self.epochs, 'epoch')} the gain holds, in full it does not"
            said = f"{lasts}{where}: trial {best.trial} is better, {figures}."
        elif best.gain > 0:
            said = (
                f"Not certain{where}: trial {best.trial} is ahead by {figures}, which chance alone "
                "can make. More repeats make the answer surer."
            )
        else:
            said = (
                f"The gain does not hold{where}: the best of the study has {figures}. Stay with "
                "the defaults."
            )
        under = f"Scored under quick_validation.wear={self.wear}." if self.wear else ""
        return " ".join(filter(None, (said, self._test(), under)))

    def _test(self) -> str:
        if not self.test_winner:
            return ""
        ours, theirs = fmean(self.test_winner), fmean(self.test_defaults)
        ahead = sum(a > b for a, b in zip(self.test_winner, self.test_defaults, strict=True))
        seeds = len(self.test_winner)
        return (
            f"On the test split, trained in full, it has {ours:.4f} against {theirs:.4f} of the "
            f"defaults ({ours - theirs:+.4f}; ahead with {ahead} of {seeds} seeds)."
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values, the sentence among them."""
        return {"sentence": self.sentence, "holds": self.winner.holds, **asdict(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Confirmation":
        """Read what `to_json` has written."""
        values = {key: value for key, value in stored.items() if key not in ("sentence", "holds")}
        values["contenders"] = [Contender(**one) for one in values["contenders"]]
        return cls(**values)


def compare(
    scores: Mapping[int, Sequence[float]],
    params: Mapping[int, dict[str, Any]],
    defaults: int,
    folds: int,
) -> list[Contender]:
    """Test every contender against the defaults by the corrected resampled t-test.

    Args:
        scores: trial -> macro-F1 of each fold of each repetition, in the same order for all.
        params: trial -> its parameters.
        defaults: the trial with the defaults.
        folds: k of the repeated cross-validation.
    """
    base = scores[defaults]
    found = []
    for trial, own in scores.items():
        if trial == defaults:
            continue
        pairs = [a - b for a, b in zip(own, base, strict=True)]
        test = corrected_resampled_t(pairs, folds, tails=1)
        assert test is not None
        found.append(
            Contender(trial, params[trial], fmean(own), test.mean, test.low, test.high, test.p)
        )
    corrected = holm([contender.p for contender in found])
    found = [replace(contender, p=p) for contender, p in zip(found, corrected, strict=True)]
    return sorted(found, key=lambda contender: -contender.score)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for that many comparisons (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for place, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[i]))
        corrected[i] = highest
    return corrected


def load_confirmations(folder: Path) -> list[Confirmation]:
    """Return what was confirmed of a study, on its own data first.

    A file that holds no confirmation is told and left out.
    """
    found: list[Confirmation] = []
    for path in sorted(folder.glob("confirm*.json")):
        try:
            found.append(Confirmation.from_json(json.loads(path.read_text("utf-8"))))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning(
                "%s: left out, as no confirmation can be read in it (%s); remove it, or let "
                "src.confirm write it again",
                path,
                first_line(error),
            )
    return sorted(found, key=lambda one: one.other_data)
