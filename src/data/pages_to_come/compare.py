"""How pages to classify differ from those to train on, and which wear makes these most like them.

Adversarial validation: a classifier is to tell the two apart by their measures. The area under its
curve (AUC), cross-validated, is 0.5 where it cannot and 1 where it always can. Training pages are
then worn by every preset of `augment`, and what is told apart least is nearest. No label of the
pages to classify is used, nor is there any need of one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from src.data.config import AugmentConfig
from src.data.pages_to_come.measures import MEASURES, SIZES, Floats, Pixels, measure

NONE = "none"
# Of the presets' own; at the ends half as much and half as much again.
STRENGTHS = (0.5, 1.0, 1.5)
# AUCs of so few pages vary by about that much from draw to draw. A wear has to be better than none
# by more, and of several that are this near the mildest is taken.
NEAR = 0.02
# Above, pages are always told apart, and the AUC says no more which wear is nearer.
ALWAYS = 0.95
# Parts that the classifier is cross-validated in, and its trees.
PARTS, TREES = 5, 60
# Pages that are worn at a time.
BATCH = 64
# Bars of a histogram.
BARS = 16


@dataclass(frozen=True)
class Measure:
    """A measure of both heaps.

    Args:
        name: of `MEASURES` or `SIZES`.
        unit: in words.
        ours: 10th, 50th and 90th percentile of the pages to train on.
        theirs: likewise, of those to classify.
        apart: the largest distance of the two distributions, 0..1 (Kolmogorov and Smirnov's).
        bars: both histograms, shares of the pages, over the same bins.
        ends: of the bins.
    """

    name: str
    unit: str
    ours: tuple[float, float, float]
    theirs: tuple[float, float, float]
    apart: float
    bars: tuple[list[float], list[float]]
    ends: tuple[float, float]


@dataclass(frozen=True)
class Worn:
    """Training pages under a wear: how well they are told from pages to classify.

    Args:
        preset: of `augment`, or none.
        strength: of it.
        auc: 0.5..1, of the classifier.
        distance: 0..1, how far the measures lie apart on average.
    """

    preset: str
    strength: float
    auc: float
    distance: float = 0.0

    @property
    def in_words(self) -> str:
        """Return `document at strength 0.5`, or `as they are`."""
        return "as they are" if self.preset == NONE else f"{self.preset} at {self.strength:g}"


@dataclass(frozen=True)
class Comparison:
    """What was found.

    Args:
        ours: how many pages to train on were looked at.
        theirs: how many to classify.
        measures: each of both, those that differ most first.
        tried: wears, without any first.
        chosen: the one to take.
    """

    ours: int
    theirs: int
    measures: Sequence[Measure]
    tried: Sequence[Worn]
    chosen: Worn


def compare(
    ours: Pixels,
    theirs: Pixels,
    presets: Mapping[str, AugmentConfig],
    sizes: tuple[Floats, Floats] | None = None,
) -> Comparison:
    """Compare two heaps of pages, and try every preset at every strength.

    Args:
        ours: uint8 [N, S, S, 3], pages to train on.
        theirs: uint8 [M, S, S, 3], pages to classify.
        presets: of `augment`, by name; the mildest first.
        sizes: of both, [N, 2] and [M, 2] in their files; None where there are no files.
    """
    of_theirs, of_ours = measure(theirs), measure(ours)
    tried = [Worn(NONE, 0.0, auc(of_ours, of_theirs), distance(of_ours, of_theirs))]
    for name, preset in presets.items():
        for strength in STRENGTHS:
            worn = measure(wear(ours, preset, strength))
            found = auc(worn, of_theirs), distance(worn, of_theirs)
            tried.append(Worn(name, strength, *found))
    measures = [
        _measure(name, unit, of_ours[:, column], of_theirs[:, column])
        for column, (name, unit) in enumerate(MEASURES.items())
    ]
    if sizes is not None:
        measures[:0] = [
            _measure(name, unit, sizes[0][:, column], sizes[1][:, column])
            for column, (name, unit) in enumerate(SIZES.items())
        ]
    measures.sort(key=lambda one: -one.apart)
    return Comparison(len(ours), len(theirs), measures, tried, choose(tried))


def choose(tried: Sequence[Worn]) -> Worn:
    """Return the first, which is the mildest, of those that are as near as the nearest."""
    least = min(worn.auc for worn in tried)
    if least > ALWAYS:
        # One measure that no wear mends is enough for a classifier; the others still tell.
        nearest = min(worn.distance for worn in tried)
        return next(worn for worn in tried if worn.distance <= nearest + NEAR)
    # Below a half is chance, so nothing can be nearer.
    return next(worn for worn in tried if worn.auc <= max(least, 0.5) + NEAR)


def distance(ours: Floats, theirs: Floats) -> float:
    """Return how far measures [N, F] and [M, F] lie apart, 0 to 1: the mean over all measures.

    Of each the largest distance of its two distributions (Kolmogorov and Smirnov's).
    """
    pairs = zip(ours.T, theirs.T, strict=True)
    return float(np.mean([_apart(one, other) for one, other in pairs]))


def auc(ours: Floats, theirs: Floats) -> float:
    """Return how well measures [N, F] and [M, F] are told apart, 0.5 to 1, cross-validated."""
    # Imported here, as mistakes on the command line are told before.
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    both = np.concatenate([ours, theirs])
    truth = np.repeat([0, 1], [len(ours), len(theirs)])
    classifier = ExtraTreesClassifier(TREES, min_samples_leaf=3, random_state=0)
    parts = StratifiedKFold(PARTS, shuffle=True, random_state=0)
    found = cross_val_predict(classifier, both, truth, cv=parts, method="predict_proba")
    return float(max(0.5, roc_auc_score(truth, found[:, 1])))


def wear(pages: Pixels, preset: AugmentConfig, strength: float, seed: int = 0) -> Pixels:
    """Return pages, uint8 [N, S, S, 3], worn as training does it, each in a way of its own.

    Args:
        pages: uint8 [N, S, S, 3].
        preset: a choice of `augment`.
        strength: in place of the preset's.
        seed: of the draws.
    """
    # Imported here, as they bring torch along, which who reads a comparison does not need.
    import torch

    from src.data.augment import Augment, Normalize

    augment = Augment(replace(preset, strength=strength))
    normalize = Normalize(list(preset.mean), list(preset.std))
    found = []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for start in range(0, len(pages), BATCH):
            batch = torch.from_numpy(pages[start : start + BATCH]).permute(0, 3, 1, 2)
            worn = augment(normalize(batch)) * augment.std + augment.mean
            levels = (255 * worn).round().clamp(0, 255).to(torch.uint8)
            found.append(levels.permute(0, 2, 3, 1).numpy())
    return np.concatenate(found)


def _apart(ours: Floats, theirs: Floats) -> float:
    from scipy.stats import ks_2samp

    # An exact p-value, which nobody asks for, takes long and warns where it fails.
    return float(ks_2samp(ours, theirs, method="asymp").statistic)


def _measure(name: str, unit: str, ours: Floats, theirs: Floats) -> Measure:
    both = np.concatenate([ours, theirs])
    # What is far out would leave the rest to one bar.
    low, high = (float(end) for end in np.percentile(both, (1, 99)))
    edges = np.linspace(low, max(high, low + 1e-9), BARS + 1)
    bars = [np.histogram(of.clip(low, high), edges)[0] / len(of) for of in (ours, theirs)]
    tenths = [tuple(float(p) for p in np.percentile(of, (10, 50, 90))) for of in (ours, theirs)]
    return Measure(
        name=name,
        unit=unit,
        ours=(tenths[0][0], tenths[0][1], tenths[0][2]),
        theirs=(tenths[1][0], tenths[1][1], tenths[1][2]),
        apart=_apart(ours, theirs),
        bars=(bars[0].tolist(), bars[1].tolist()),
        ends=(low, high),
    )
