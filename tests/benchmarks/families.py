"""One search over three model families against a search for each.

Run it as `python -m tests.benchmarks.families`.

The score is a formula, shaped as in the guide: every family has its own range of learning rates
and its own best one, and one family has a parameter more. Both sides have the same number of
trials; for the separate searches the best of the three counts.
"""

import functools
import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import optuna
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from optuna.distributions import CategoricalDistribution, FloatDistribution

from doctune.space.search_space import Branch, SearchSpace
from doctune.words import settings_of
from src.before import config as config
from src.hardware import profile as profile
from tests.conftest import CONF

TRIALS = 60
# Family -> learning rates, the best one, and the score there.
FAMILIES = {
    "efficientnet": (5e-4, 5e-3, 1e-3, 0.88),
    "convnext": (1e-5, 1e-3, 5e-5, 0.90),
    "swin": (1e-5, 1e-3, 1e-4, 0.89),
}
BEST = max(score for *_, score in FAMILIES.values())


def space_of(families: Sequence[str]) -> SearchSpace:
    """Return the space over some families, as `model=choice(...)` makes it."""
    branches = {}
    for family in families:
        low, high, _, _ = FAMILIES[family]
        known: dict[str, Any] = {
            f"lr[{family}]": FloatDistribution(low, high, log=True),
            f"decay[{family}]": FloatDistribution(0.01, 0.1),
            f"drop_path[{family}]": FloatDistribution(0.0, 0.3),
        }
        if family == "convnext":
            known["scale[convnext]"] = FloatDistribution(1e-6, 1e-4, log=True)
        branches[(family,)] = Branch(known)
    return SearchSpace({"model": CategoricalDistribution(families)}, branches)


def score(params: dict[str, Any]) -> float:
    """Return the score of a trial; `BEST` is reached at one point of one family."""
    found = settings_of(params)
    _, _, lr, best = FAMILIES[found["model"]]
    lost = 0.1 * math.log10(found["lr"] / lr) ** 2
    lost += 30 * (found["decay"] - 0.05) ** 2 + 1.5 * (found["drop_path"] - 0.15) ** 2
    if "scale" in found:
        lost += 0.02 * math.log10(found["scale"] / 1e-5) ** 2
    return float(best - lost)


@functools.cache
def sampler_of_presets() -> DictConfig:
    """Return the config of the sampler."""
    with initialize_config_dir(CONF):
        words = ["hparams_search=fast", "gpu=cpu", "optuna.study_name=none"]
        cfg = compose("train", words, return_hydra_config=True)
    sampler: DictConfig = cfg.hydra.sweeper.sampler
    return sampler


def search(families: Sequence[str], n_trials: int, seed: int) -> float:
    """Return the best score of a search with the sampler that all presets use."""
    sampler = instantiate(
        sampler_of_presets(), seed=seed, _execution_whitelist_=("optuna.samplers.*",)
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    space = space_of(families)
    for _ in range(n_trials):
        trial = study.ask()
        space.suggest(trial)
        study.tell(trial, score(trial.params))
    return study.best_value


def regrets(seeds: Sequence[int], n_trials: int = TRIALS) -> tuple[list[float], list[float]]:
    """Return what is missing to the best score, of one search over all and of one for each."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    each = n_trials // len(FAMILIES)
    together = [BEST - search(list(FAMILIES), n_trials, seed) for seed in seeds]
    apart = [BEST - max(search([one], each, seed) for one in FAMILIES) for seed in seeds]
    return together, apart


def main() -> None:
    """Print the mean over 30 seeds."""
    together, apart = regrets(range(30))
    wins = sum(ours <= theirs for ours, theirs in zip(together, apart, strict=True))
    print(f"{TRIALS} trials over {len(FAMILIES)} families, 30 seeds, short of the best score by:")
    print(f"  one search over all   {fmean(together):.5f}")
    print(f"  a search for each     {fmean(apart):.5f}")
    print(f"  one search is as good or better with {wins} seeds")


if __name__ == "__main__":
    main()
