"""The epochs that all trials of a study train a fold, which its first trial decides.

Later ones may find other batch sizes in the search space, and scores after other numbers of epochs
could not be compared.
"""

from typing import Any

import optuna
from omegaconf import DictConfig
from optuna.distributions import CategoricalDistribution, json_to_distribution

from doctune.space.record import SPACE
from doctune.words import key_of
from src.before.trial_length import epochs_of_trials

# Where a study keeps it, with what was asked for.
LENGTH = "length_of_trials"


def length_in_study(study: optuna.Study, cfg: DictConfig, images: int) -> int:
    """Return the epochs of a fold, and keep them with the study.

    Under `quick_validation.seconds` at how many equal shares of a fold its trials are compared.
    A study that was begun before there was `quick_validation.min_steps` goes on without it.

    Args:
        study: whose trial this is.
        cfg: of the trial.
        images: that are cut into folds.
    """
    quick = cfg.quick_validation
    if quick.seconds is not None:
        # Each has its own, see src/trial/equal_time.py.
        return int(quick.epochs)
    asked = [quick.epochs, quick.min_steps]
    noted: Any = study.user_attrs.get(LENGTH)
    if noted is not None and noted["asked"] == asked:
        return int(noted["epochs"])
    if noted is None and _trained(study, quick.epochs * quick.folds):
        epochs = int(quick.epochs)
    else:
        epochs = epochs_of_trials(cfg, images, largest_batch(study, cfg.data.batch_size))
    study.set_user_attr(LENGTH, {"asked": asked, "epochs": epochs})
    return epochs


def _trained(study: optuna.Study, epochs: int) -> bool:
    """Tell whether an earlier trial was to train so many epochs in all its folds."""
    loads = (trial.user_attrs.get("workload") for trial in study.get_trials(deepcopy=False))
    return any(load and load["epochs"] == epochs for load in loads)


def largest_batch(study: optuna.Study, fixed: int) -> int:
    """Return the largest batch that a study searches; `fixed` where it searches none.

    Args:
        study: with what it has searched, as the sweeper keeps it.
        fixed: the trial's own.
    """
    known: Any = study.user_attrs.get(SPACE, {}).get("distributions", {})
    found = []
    for name, text in known.items():
        if key_of(name) == "data.batch_size":
            of: Any = json_to_distribution(text)
            choices = of.choices if isinstance(of, CategoricalDistribution) else (of.high,)
            found += [int(str(choice)) for choice in choices]
    return max(found, default=fixed)
