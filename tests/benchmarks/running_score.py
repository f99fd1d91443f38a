"""What the estimate that a trial reports does to pruning, beside the one that left the range:

    python -m tests.benchmarks.running_score

Small networks learn scikit-learn's handwritten digits (which it brings along) by SGD at random
learning rates, widths, batches and weight decays, 3 folds of 5 epochs each, scored by macro-F1 and
by log loss. Every pruner replays the same curves, reported as M + (s - A) / (k + 1) and as
`src/trial/running_score.py` does now, in 20 random orders.
"""

import random
import warnings
from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np
import optuna
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.metrics import f1_score, log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier

from src.before.objectives import OBJECTIVES
from src.trial.running_score import RunningScore
from tests.benchmarks.pruning import replay

TRIALS, FOLDS, EPOCHS, ORDERS = 60, 3, 5, 20

# The score after each epoch, for each fold.
Curves = list[list[float]]


def main() -> None:
    """Print the table."""
    recorded = [_train(seed) for seed in range(TRIALS)]
    table = Table(title=f"{TRIALS} trials of {FOLDS} folds x {EPOCHS} epochs", box=None)
    for column in ("objective", "pruner", "estimate", "out of range", "saved", "lost", "at most"):
        table.add_column(column, justify="right" if column in ("saved", "lost") else "left")
    for name, objective in OBJECTIVES.items():
        if name not in ("f1", "log_loss"):
            continue
        curves = [trial[name] for trial in recorded]
        for kind in ("median", "percentile"):
            for label, estimates in (("before", _before), ("now", _now(objective.high))):
                reported = [estimates(folds) for folds in curves]
                outside = sum(not 0 <= v <= objective.high for trial in reported for v in trial)
                # Pruners are replayed upwards.
                sign = 1 if objective.direction == "maximize" else -1
                signed = [[sign * value for value in trial] for trial in reported]
                found = [
                    replay(random.Random(seed).sample(signed, TRIALS), kind, 3)
                    for seed in range(ORDERS)
                ]
                saved, lost = zip(*found, strict=True)
                table.add_row(
                    *(name, kind, label, str(outside), f"{fmean(saved):.1%}"),
                    *(f"{fmean(lost):.4f}", f"{max(lost):.4f}"),
                )
    Console().print(table)


def _train(seed: int) -> dict[str, Curves]:
    images, labels = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    rate, decay = 10 ** rng.uniform(-3.5, 0), 10 ** rng.uniform(-6, -1)
    width, batch = int(rng.choice([8, 32, 128])), int(rng.choice([16, 32, 64]))
    curves: dict[str, Curves] = {"f1": [], "log_loss": []}
    for fold, (train, val) in enumerate(
        StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(images, labels)
    ):
        model = MLPClassifier(
            *((width,), "relu"), solver="sgd", alpha=decay, batch_size=batch,
            learning_rate_init=rate, random_state=seed + fold,
        )  # fmt: skip
        for curve in curves.values():
            curve.append([])
        for _ in range(EPOCHS):
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                model.partial_fit(images[train] / 16, labels[train], classes=np.arange(10))
                found = np.nan_to_num(model.predict_proba(images[val] / 16), nan=0.1)
            found = found.clip(1e-7)
            found /= found.sum(1, keepdims=True)
            of_epoch = f1_score(labels[val], found.argmax(1), average="macro", zero_division=0)
            curves["f1"][-1].append(float(of_epoch))
            curves["log_loss"][-1].append(float(log_loss(labels[val], found)))
    return curves


def _now(high: float) -> Callable[[Curves], list[float]]:
    def estimates(folds: Curves) -> list[float]:
        running, reported = RunningScore(0.0, high), []
        for fold in folds:
            reported += [running.add(score) for score in fold]
            running.end_fold()
        return reported

    return estimates


def _before(folds: Curves) -> list[float]:
    reported: list[float] = []
    for done, fold in enumerate(folds):
        earlier: Sequence[list[float]] = folds[:done]
        for epoch, score in enumerate(fold):
            if not earlier:
                reported.append(score)
                continue
            same = fmean(curve[epoch] for curve in earlier)
            reported.append(fmean(c[-1] for c in earlier) + (score - same) / (done + 1))
    return reported


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    main()
