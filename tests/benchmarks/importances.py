"""Which importances tell what mattered, and from how many trials on.

python -m tests.benchmarks.importances [STUDIES]

The truth is known here: searches by random and by TPE of a score that is drawn.

* One model, four parameters: the learning rate decides, the others hardly do. Counted is in how
  many studies it comes first.
* Three models, each with ranges of its own, of which one is 0.15 better; the learning rate
  costs up to 0.1, dropout nothing. Counted is in how many studies `model` stands above every
  dropout.

In half of the rows a pruner has ended about every second trial after the fifth. With 20 studies a
cell is known to within 2 or so.
"""

import math
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from statistics import median

import numpy as np
import optuna
from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from src.results import importances
from src.results.importances import Importances

STUDIES = 20
TRIALS = (8, 12, 15, 20, 50)
NOISE = 0.02
STARTUP = 5
STEPS, LOOK_AT = 9, 3
MODELS = ("small", "middle", "large")

Shares = Mapping[str, float]


def one_model(trial: optuna.Trial, rng: np.random.Generator, best: Sequence[float]) -> float:
    """Draw a score that the learning rate decides."""
    rate = trial.suggest_float("lr", 1e-5, 1e-2, log=True)
    trial.suggest_categorical("batch_size", [16, 32, 48, 64])
    trial.suggest_float("weight_decay", 0.01, 0.1)
    trial.suggest_float("dropout", 0.0, 0.15)
    off = math.log10(rate) - (-4 + 1.5 * best[0])
    return float(0.9 - 0.1 * off**2 + rng.normal(0, NOISE))


def three_models(trial: optuna.Trial, rng: np.random.Generator, best: Sequence[float]) -> float:
    """Draw a score that the model decides, and then its learning rate."""
    model = trial.suggest_categorical("model", MODELS)
    place = MODELS.index(model)
    low = 10 ** (-5 + place / 2)
    rate = trial.suggest_float(f"lr[{model}]", low, 100 * low, log=True)
    trial.suggest_categorical(f"batch_size[{model}]", [16, 32, 48])
    trial.suggest_float(f"dropout[{model}]", 0.0, 0.15)
    off = math.log10(rate / low) / 2 - (0.3 + 0.5 * best[place])
    gain = 0.15 * (place == int(3 * best[3]))
    return float(0.7 + gain - 0.2 * off**2 + rng.normal(0, NOISE))


Draw = Callable[[optuna.Trial, np.random.Generator, Sequence[float]], float]


def search(draw: Draw, sampler: BaseSampler, seed: int, trials: int, prune: bool) -> optuna.Study:
    """Return a study of drawn scores, every fold's epoch of which comes a little nearer to it."""
    rng = np.random.default_rng(seed)
    best = rng.uniform(size=4).tolist()
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for number in range(trials):
        trial = study.ask()
        score = draw(trial, rng, best)
        steps = [score * (1 - 0.5 / (step + 1)) for step in range(STEPS)]
        seen = [t.intermediate_values[LOOK_AT] for t in study.trials[:number]]
        hopeless = prune and number >= STARTUP and steps[LOOK_AT] < median(seen)
        for step, value in enumerate(steps[: LOOK_AT + 1] if hopeless else steps):
            trial.report(value, step)
        if hopeless:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, score)
    return study


def ours(study: optuna.Study) -> Shares:
    """Return the importances that the report shows, whatever the number of trials."""
    complete = sorted(
        study.get_trials(states=(TrialState.COMPLETE,)), key=lambda t: -(t.value or 0)
    )
    return Importances(complete, study.get_trials(states=(TrialState.PRUNED,)), True).of_all()


def by(make: Callable[[], BaseImportanceEvaluator], sign: int) -> Callable[[optuna.Study], Shares]:
    """Return one of Optuna's own, as it is meant to be called."""

    def shares(study: optuna.Study) -> Shares:
        return get_param_importances(
            study, evaluator=make(), target=lambda trial: sign * (trial.value or 0.0)
        )

    return shares


WAYS: Mapping[str, Callable[[optuna.Study], Shares]] = {
    "ours": ours,
    "PED-ANOVA, best 0.1": by(PedAnovaImportanceEvaluator, -1),
    "PED-ANOVA, best 0.25": by(lambda: PedAnovaImportanceEvaluator(target_quantile=0.25), -1),
    "PED-ANOVA, best 0.5": by(lambda: PedAnovaImportanceEvaluator(target_quantile=0.5), -1),
    "fANOVA": by(lambda: FanovaImportanceEvaluator(seed=0), 1),
}


def is_right(draw: Draw, shares: Shares) -> bool:
    """Tell whether what decides comes first, or `model` above all that does nothing."""
    if draw is one_model:
        return next(iter(shares), "") == "lr"
    idle = [share for key, share in shares.items() if key.startswith("dropout")]
    return "model" in shares and shares["model"] > max(idle, default=0.0)


def main() -> None:
    """Print how often each way is right."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore")
    importances.ENOUGH_FOR_IMPORTANCES = 2
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else STUDIES
    for draw in (one_model, three_models):
        print(f"\n{draw.__name__}: right in so many of {studies} studies, at")
        print(f"{'trials':>38}" + "".join(f"{trials:>5}" for trials in TRIALS))
        for name, make in (("random", RandomSampler), ("TPE", TPESampler)):
            for prune in (False, True):
                found = {
                    trials: [search(draw, make(seed=i), i, trials, prune) for i in range(studies)]
                    for trials in TRIALS
                }
                for way, shares in WAYS.items():
                    if draw is three_models and way == "fANOVA":
                        # It knows nothing but what all trials have: the model.
                        continue
                    rights = [sum(is_right(draw, shares(s)) for s in found[t]) for t in TRIALS]
                    label = f"{name}{', pruned' if prune else ''}"
                    row = "".join(f"{right:>5}" for right in rights)
                    print(f"{label:<16}{way:<22}{row}", flush=True)


if __name__ == "__main__":
    main()
