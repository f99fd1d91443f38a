"""How good the expected gain of ten more trials is, and what stopping by it costs:

    python -m tests.benchmarks.stopping [SEEDS]

Real searches that take no time: macro-F1 of scikit-learn's models on its digits (300 to train on,
1,497 to score), with TPE as presets have it and at random, 60 trials each. Compared are the gain
that was expected of ten more trials after 20, 30, ... of them, and the one that came; then, for
each `optuna.stop_when`, how many trials it saves and how much F1 it gives up.
"""

import sys
import warnings
from collections import defaultdict
from collections.abc import Callable
from statistics import fmean
from typing import Any

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from doctune.study.expected_gain import AHEAD, ENOUGH, expected_gain

TRIALS = 60
LIMITS = (0.0005, 0.001, 0.002, 0.005)


def svc(trial: optuna.Trial) -> Any:
    """Return a support vector machine: two parameters, a sharp ridge."""
    return SVC(
        C=trial.suggest_float("C", 1e-3, 1e3, log=True),
        gamma=trial.suggest_float("gamma", 1e-6, 1e1, log=True),
    )


def linear(trial: optuna.Trial) -> Any:
    """Return a linear model: four parameters, a noisy slope."""
    return SGDClassifier(
        loss=trial.suggest_categorical("loss", ["hinge", "log_loss", "modified_huber"]),
        alpha=trial.suggest_float("alpha", 1e-7, 1e0, log=True),
        learning_rate="constant",
        eta0=trial.suggest_float("eta0", 1e-6, 1e1, log=True),
        average=trial.suggest_categorical("average", [False, True]),
        max_iter=20,
        tol=None,
        random_state=0,
    )


def neighbours(trial: optuna.Trial) -> Any:
    """Return nearest neighbours: few values, many of them equal."""
    return KNeighborsClassifier(
        n_neighbors=trial.suggest_int("k", 1, 60),
        weights=trial.suggest_categorical("weights", ["uniform", "distance"]),
        p=trial.suggest_float("p", 1.0, 2.0, step=1.0),
    )


MODELS: dict[str, Callable[[optuna.Trial], Any]] = {
    "svc": svc,
    "linear": linear,
    "neighbours": neighbours,
}
SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "TPE": lambda seed: TPESampler(seed=seed, multivariate=True, n_startup_trials=5),
    "random": lambda seed: RandomSampler(seed=seed),
}


def search(model: str, sampler: str, seed: int) -> optuna.Study:
    """Run a search."""
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images / 16, labels, train_size=300, stratify=labels, random_state=0)
    train, test, of_train, of_test = parts

    def score(trial: optuna.Trial) -> float:
        made = MODELS[model](trial).fit(train, of_train)
        return float(f1_score(of_test, made.predict(test), average="macro"))

    study = optuna.create_study(direction="maximize", sampler=SAMPLERS[sampler](seed))
    study.optimize(score, n_trials=TRIALS)
    return study


def best_of(study: optuna.Study, count: int) -> float:
    """Return the best of the first so many trials."""
    return float(max(trial.values[0] for trial in study.trials[:count]))


def main(seeds: int = 10) -> None:
    """Print both tables."""
    warnings.filterwarnings("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    studies = {
        (model, sampler): [search(model, sampler, seed) for seed in range(seeds)]
        for model in MODELS
        for sampler in SAMPLERS
    }
    print(
        f"the next {AHEAD} trials, mean of {seeds}: gain expected / came; chance expected / share"
    )
    for count in range(20, TRIALS, 10):
        parts = []
        for members in studies.values():
            said = [expected_gain(study.trials[:count], True) for study in members]
            came = [best_of(study, count + AHEAD) - best_of(study, count) for study in members]
            told = [one for one in said if one is not None]
            parts.append(
                f"{fmean(one.gain for one in told):.4f} / {fmean(came):.4f}; "
                f"{fmean(one.chance for one in told):.2f} / {fmean(gain > 0 for gain in came):.2f}"
            )
        print(f"after {count}:", "  |  ".join(parts))
    print("columns:", "  |  ".join(" ".join(key) for key in studies))
    print(f"stopped before {TRIALS} trials: trials that were run, F1 given up (mean, most)")
    for limit in LIMITS:
        ends: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
        for key, members in studies.items():
            for study in members:
                end = _end(study, limit)
                ends[key].append((end, best_of(study, TRIALS) - best_of(study, end)))
        said_of = "  |  ".join(
            f"{fmean(end for end, _ in found):.0f}, {fmean(lost for _, lost in found):.4f}, "
            f"{max(lost for _, lost in found):.4f}"
            for found in ends.values()
        )
        print(f"stop_when={limit}:", said_of)


def _end(study: optuna.Study, limit: float) -> int:
    """Return after how many trials a search would have ended."""
    for count in range(ENOUGH, TRIALS):
        said = expected_gain(study.trials[:count], True)
        if said is not None and said.gain < limit:
            return count
    return TRIALS


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
