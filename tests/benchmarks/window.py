"""Whether TPE finds worse when it is shown a window of a long study, or asked ahead:

python -m tests.benchmarks.window [SEEDS [TRIALS [WINDOW]]]

Synthetic searches of five parameters, maximized (best possible 0.9), without noise and with as much
as two folds have; the same seeds for each. Printed: how far the best trial is from the best
possible, its true value, the mean over seeds with its standard error, and the processor time of a
proposal at the end.
"""

import statistics
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import optuna

from doctune.study.window import windowed
from tests.benchmarks.prefilled import SPACE, score

SEEDS, TRIALS = 5, 1000
BEST = 0.9
NOISE = 0.02
# As printed -> finished trials that are shown; proposals made before results are known.
WAYS: dict[str, tuple[int | None, int]] = {
    "all shown": (None, 0),
    "a window of 1,000": (1000, 0),
    "a window of 300": (300, 0),
    "all shown, one asked ahead": (None, 1),
    "a window of 300, two asked ahead": (300, 2),
}


def main(seeds: int = SEEDS, trials: int = TRIALS, window: int | None = None) -> None:
    """Print a line for each way, or for all trials and for one window."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    print(f"{trials} trials, {seeds} seeds: distance from the best possible")
    print(f"{'':36}{'exact':>20}{'with noise':>20}{'CPU ms':>10}")
    ways = WAYS
    if window is not None:
        ways = {"all shown": (None, 0), f"a window of {window:,}": (window, 0)}
    for name, (most, ahead) in ways.items():
        cells, last = "", 0.0
        for noise in (0.0, NOISE):
            found = [search(seed, trials, most, ahead, noise) for seed in range(seeds)]
            gaps = [BEST - value for value, _ in found]
            error = statistics.stdev(gaps) / len(gaps) ** 0.5 if len(gaps) > 1 else 0.0
            cells += f"{f'{statistics.mean(gaps):.4f} +- {error:.4f}':>20}"
            last = statistics.median(seconds for _, seconds in found)
        print(f"{name:36}{cells}{1000 * last:10.1f}", flush=True)


def search(
    seed: int, trials: int, most: int | None, ahead: int, noise: float
) -> tuple[float, float]:
    """Search; return the true value of the trial that looks best, and seconds of a proposal."""
    tpe = optuna.samplers.TPESampler(
        seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=10
    )
    study = optuna.create_study(direction="maximize", sampler=windowed(tpe, most))
    measured = _with_noise(np.random.default_rng(seed), noise)
    asked: list[optuna.Trial] = []
    seconds: list[float] = []
    for _ in range(trials):
        while len(asked) <= ahead:
            began = time.process_time()
            asked.append(study.ask(SPACE))
            seconds.append(time.process_time() - began)
        trial = asked.pop(0)
        study.tell(trial, measured(score(trial.params)))
    return score(study.best_params), statistics.median(seconds[-50:])


def _with_noise(rng: np.random.Generator, noise: float) -> Callable[[float], float]:
    return lambda value: value + noise * float(rng.standard_normal())


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
