"""Trials ranked by clean folds and by folds under wear, where the pages to come are worn.

    python -m tests.benchmarks.wear [documents] [digits] [auto] [auto_digits] [mixup]

Pages to train on are flat, clean scans; test pages are worn by other means than the product's own
(`src/data/documents/worn.py`): the built-in documents with `data.wear_test=phone`, and
scikit-learn's digits taken likewise. The same candidates are scored on the same folds as they are
and under wear. What each score would have chosen is trained in full with five seeds, each keeping
the epoch that is best by its own score, and tested on the worn split.

`auto`: the same for every preset of wear, and for the wear that is nearest to the test pages, which
are looked at without their labels (`quick_validation.wear=auto`).
"""

import functools
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image
from scipy.stats import spearmanr
from sklearn.datasets import load_digits

from src.before import config as config
from src.before.objectives import fold_score
from src.data.documents.generate import FLAT, draw_page
from src.data.documents.worn import HANDLINGS, flat, handled
from src.data.folds import stratified_folds
from src.data.image_set import ImageSet
from src.data.load import load_splits
from src.data.pages_to_come.compare import NONE, Worn
from src.data.pages_to_come.compare import compare as compare_pages
from src.data.pages_to_come.gather import MOST, SIDE, presets
from src.data.pages_to_come.measures import Pixels
from src.data.splits import Splits, cut
from src.data.wear import as_scored
from src.hardware import profile as profile
from src.training.evaluate import evaluate, scores_of
from src.training.fit import fit
from tests.conftest import CONF

AUGMENTS = ("none", "light", "document", "heavy")
RATES = (1e-3, 4e-3)
WEARS = ("none", "light", "document", "heavy")
# What a search is told of the pages to come; that it is not what wears them is the point.
CHOSEN_UNDER = "document"
FOLDS, EPOCHS, EPOCHS_IN_FULL, SEEDS = 2, 6, 12, 5
# Of `heavy`, with and without mixup.
MIXUPS, MIXUP_SEEDS = (0.0, 0.4), 3
# Of each wear, and how much worse than the best preset `auto` may be.
AUTO_SEEDS, AS_GOOD = 3, 0.01


@dataclass(frozen=True)
class Candidate:
    """What a search would try."""

    augment: str
    lr: float
    mixup: float = 0.0

    @property
    def words(self) -> tuple[str, ...]:
        """Return what it is on a command line."""
        mixup = f"augment.mixup_alpha={self.mixup}"
        return f"augment={self.augment}", f"optimizer.lr={self.lr}", mixup


CANDIDATES = tuple(itertools.starmap(Candidate, itertools.product(AUGMENTS, RATES)))


@dataclass(frozen=True)
class Bench:
    """A data set, and what configs on it have in common."""

    name: str
    splits: Splits
    words: tuple[str, ...]
    # Pages as a look at those to come sees them, by what they are called and how they were taken.
    page: Callable[[str, str], Pixels]
    handling: str

    def config(self, candidate: Candidate, wear: str) -> DictConfig:
        """Return the config of a candidate whose pages are scored under a wear.

        Args:
            candidate: what is trained.
            wear: a preset, with its strength behind an @ where that is not the preset's own.
        """
        preset, _, strength = wear.partition("@")
        scored = (
            f"quick_validation.wear={preset}",
            f"quick_validation.wear_strength={strength or 'null'}",
        )
        words = (*self.words, *candidate.words, *scored)
        with initialize_config_dir(CONF):
            found: DictConfig = compose("train", ["gpu=cpu", "callbacks.progress=false", *words])
        return found


def documents(handling: str, n_images: int = 1200) -> Bench:
    """Return the built-in documents, clean but for the test split."""
    words = (
        *("data.img_size=48", "data.batch_size=32", f"data.n_images={n_images}"),
        f"data.wear_test={handling}",
    )
    with initialize_config_dir(CONF):
        cfg = compose("train", ["gpu=cpu", *words])

    def page(name: str, taken: str) -> Pixels:
        kind, _, number = name.rpartition("-")
        return draw_page(kind, int(number), SIDE, cfg.data.seed, taken)

    splits = load_splits(cfg.data)
    return Bench(f"documents, test pages: {handling}", splits, words, page, handling)


def digits(handling: str) -> Bench:
    """Return scikit-learn's digits as pages that were scanned flat, but for the test split."""
    side, found = 32, load_digits()
    pages = [
        Image.fromarray((255 - 15 * image).clip(0, 255).astype(np.uint8))
        .resize((96, 96), Image.Resampling.BICUBIC)
        .convert("RGB")
        for image in found.images
    ]
    taken: dict[str, Any] = {FLAT: flat, handling: functools.partial(_handled, handling)}
    sets = {
        name: ImageSet(
            np.stack([take(page, side, np.random.default_rng(i)) for i, page in enumerate(pages)]),
            found.target.astype(np.int64),
            tuple("0123456789"),
            files=[f"digit-{i}" for i in range(len(pages))],
            stored_as=f"digits-{name}",
        )
        for name, take in taken.items()
    }
    words = ("data.img_size=32", "data.batch_size=32")
    with initialize_config_dir(CONF):
        cfg = compose("train", ["gpu=cpu", *words])
    splits = cut(sets[FLAT], cfg.data)
    test = replace(sets[handling], rows=splits.test.rows)

    def page(name: str, how: str) -> Pixels:
        number = int(name.rpartition("-")[2])
        seen: Pixels = taken[how](pages[number], SIDE, np.random.default_rng(number))
        return seen

    splits = replace(splits, test=test)
    return Bench(f"digits, test pages: {handling}", splits, words, page, handling)


def _handled(handling: str, page: Image.Image, side: int, rng: np.random.Generator) -> Any:
    return handled(page, side, rng, HANDLINGS[handling])


def scores_on_folds(
    bench: Bench, candidate: Candidate, wears: Sequence[str] = WEARS
) -> dict[str, float]:
    """Return macro-F1 after the last epoch, mean over the folds, by wear."""
    data = bench.splits.train
    found: dict[str, list[float]] = {wear: [] for wear in wears}
    configs = {wear: bench.config(candidate, wear) for wear in wears}
    cfg = configs["none"]
    cuts = stratified_folds(data.labels, FOLDS, cfg.data.seed, data.groups)
    for fold, (train, val) in enumerate(cuts):
        held_out = data.subset(val)
        result = fit(
            *(cfg, data.subset(train), held_out),
            max_epochs=EPOCHS,
            seed=cfg.seed + fold,
            output_dir=None,
        )
        for wear, worn in configs.items():
            pages = as_scored(worn, held_out)
            said = scores_of(result, pages, worn).numpy()
            found[wear].append(fold_score("f1", pages.labels, said))
    return {wear: fmean(scores) for wear, scores in found.items()}


def tested(bench: Bench, candidate: Candidate, wear: str, seed: int) -> float:
    """Train in full; return macro-F1 on the worn test split."""
    cfg = bench.config(candidate, wear)
    with tempfile.TemporaryDirectory() as folder:
        result = fit(
            *(cfg, bench.splits.train, as_scored(cfg, bench.splits.val)),
            max_epochs=EPOCHS_IN_FULL,
            seed=seed,
            output_dir=Path(folder),
        )
        return evaluate(result, bench.splits.test, cfg).f1


def compare(bench: Bench) -> Iterator[str]:
    """Yield what is found, a line at a time."""
    yield f"{bench.name}: {len(bench.splits.train)} to train on, {len(bench.splits.test)} to test"
    yield f"  {'augment':9} {'lr':6} " + " ".join(f"{wear:>9}" for wear in WEARS) + "  worn test"
    rows = []
    for candidate in CANDIDATES:
        scores = scores_on_folds(bench, candidate)
        # As most people keep it: the epoch that is best on clean pages.
        test = tested(bench, candidate, "none", seed=100)
        rows.append((scores, test))
        told = " ".join(f"{scores[wear]:9.3f}" for wear in WEARS)
        yield f"  {candidate.augment:9} {candidate.lr:<6g} {told}  {test:9.3f}"
    tests = [test for _, test in rows]
    for wear in WEARS:
        rank = spearmanr([scores[wear] for scores, _ in rows], tests).statistic
        yield f"  rank correlation with the worn test, wear={wear}: {rank:+.2f}"
    arms = {}
    for wear in ("none", CHOSEN_UNDER):
        best = max(range(len(rows)), key=lambda i: rows[i][0][wear])
        arms[wear] = [tested(bench, CANDIDATES[best], wear, seed) for seed in range(SEEDS)]
        yield f"  chosen under {wear}: {_told(CANDIDATES[best])}, worn test {_each(arms[wear])}"
    wins = sum(ours > theirs for ours, theirs in zip(arms[CHOSEN_UNDER], arms["none"], strict=True))
    yield f"  the one chosen under {CHOSEN_UNDER} is better with {wins} of {SEEDS} seeds"


def compare_auto(bench: Bench) -> Iterator[str]:
    """Yield what is chosen under every preset and under the nearest wear, a line at a time."""
    nearest = nearest_to_test(bench)
    auto = "none" if nearest.preset == NONE else f"{nearest.preset}@{nearest.strength:g}"
    yield f"{bench.name}, auto: {nearest.in_words} (AUC {nearest.auc:.2f})"
    # At its own strength a preset is scored and trained only once.
    auto = auto.removesuffix("@1")
    wears = tuple(dict.fromkeys((*WEARS, auto)))
    scores = [scores_on_folds(bench, candidate, wears) for candidate in CANDIDATES]
    means: dict[str, float] = {}
    for wear in wears:
        best = CANDIDATES[max(range(len(scores)), key=lambda i: scores[i][wear])]
        found = [tested(bench, best, wear, seed) for seed in range(AUTO_SEEDS)]
        means[wear] = fmean(found)
        yield f"  chosen under {wear}: {_told(best)}, worn test {_each(found)}"
    yield _told_of_auto(means, auto)


def _told_of_auto(means: Mapping[str, float], auto: str) -> str:
    best = max(WEARS, key=means.__getitem__)
    behind = means[best] - means[auto]
    verdict = "as good" if behind <= AS_GOOD else "worse"
    return f"  auto is {verdict}: {means[auto]:.3f}, the best preset ({best}) {means[best]:.3f}"


def nearest_to_test(bench: Bench) -> Worn:
    """Return the wear that makes pages to train on most like those of the test split."""

    def seen(names: Sequence[str], taken: str) -> Pixels:
        rows = np.linspace(0, len(names) - 1, min(MOST, len(names))).astype(int)
        return np.stack([bench.page(names[row], taken) for row in rows])

    ours, theirs = (
        seen(bench.splits.train.names, FLAT),
        seen(bench.splits.test.names, bench.handling),
    )
    return compare_pages(ours, theirs, presets()).chosen


def compare_mixup(bench: Bench) -> Iterator[str]:
    """Yield what mixup does to `heavy`, a line at a time."""
    yield f"augment=heavy on {bench.name}"
    for lr, mixup in itertools.product(RATES, MIXUPS):
        candidate = Candidate("heavy", lr, mixup)
        found = [tested(bench, candidate, CHOSEN_UNDER, seed) for seed in range(MIXUP_SEEDS)]
        yield f"  lr {lr:g}, mixup_alpha {mixup:g}: worn test {_each(found)}"


def _told(candidate: Candidate) -> str:
    return f"augment={candidate.augment} lr={candidate.lr:g}"


def _each(scores: Sequence[float]) -> str:
    return f"{fmean(scores):.3f} ({', '.join(f'{score:.3f}' for score in scores)})"


def main(words: Sequence[str]) -> None:
    """Print the comparisons that are named, all by default."""
    parts = {
        "documents": lambda: compare(documents("phone")),
        "digits": lambda: compare(digits("phone")),
        "auto": lambda: compare_auto(documents("phone")),
        "auto_digits": lambda: compare_auto(digits("phone")),
        "mixup": lambda: compare_mixup(documents("rough")),
    }
    for word in words or parts:
        for line in parts[word]():
            print(line, flush=True)
        print(f"  processor time so far: {time.process_time():.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
