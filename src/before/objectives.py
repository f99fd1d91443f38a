"""What a search is after: `optuna.objectives=[f1]`, or several by name.

Importing this file registers the resolver `${directions_of:NAMES}`.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from omegaconf import DictConfig, OmegaConf

from doctune.errors import UserError
from doctune.words import did_you_mean
from src.data.wear_presets import wear_of

Labels = npt.NDArray[np.int64]
Scores = npt.NDArray[Any]


@dataclass(frozen=True)
class Objective:
    """One thing to search for.

    Args:
        direction: maximize or minimize.
        score: of labels [N] and scores [N, C], logits or log-probabilities; None for what
            predictions do not show.
        logged: the name under which a module logs it after each epoch, if it does.
        high: the most that it can be; the least is 0 for all.
        clean: of pages as they are, whatever `quick_validation.wear` says.
    """

    direction: str
    score: Callable[[Labels, Scores], float] | None
    logged: str | None = None
    high: float = 1.0
    clean: bool = False


# scikit-learn is imported where a score is computed: every command reads this file at its start.
def _f1(labels: Labels, scores: Scores, average: str | None = "macro") -> Any:
    from sklearn.metrics import f1_score

    # A class that is neither in the fold nor predicted there counts neither for nor against.
    predicted = scores.argmax(1)
    return f1_score(labels, predicted, average=average, zero_division=0.0)


def _accuracy(labels: Labels, scores: Scores) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, scores.argmax(1)))


def _balanced_accuracy(labels: Labels, scores: Scores) -> float:
    from sklearn.metrics import balanced_accuracy_score

    return float(balanced_accuracy_score(labels, scores.argmax(1)))


def _log_loss(labels: Labels, scores: Scores) -> float:
    # Not from probabilities: those of a confident mistake round to 0, and scikit-learn then counts
    # 36 for it, whatever it was.
    exact = scores.astype(np.float64)
    exact -= exact.max(1, keepdims=True)
    of_truth = exact[np.arange(len(labels)), labels]
    return float((np.log(np.exp(exact).sum(1)) - of_truth).mean())


OBJECTIVES = {
    # Mean over the classes.
    "f1": Objective("maximize", lambda y, p: float(_f1(y, p)), "val/f1"),
    "accuracy": Objective("maximize", _accuracy, "val/accuracy"),
    # Mean of the classes' recalls.
    "balanced_accuracy": Objective("maximize", _balanced_accuracy),
    # F1 of the class that is recognised worst.
    "worst_class_f1": Objective("maximize", lambda y, p: float(_f1(y, p, None).min())),
    # Cross entropy: how far the probabilities can be trusted.
    "log_loss": Objective("minimize", _log_loss, "val/loss", math.inf),
    # Of one trial, all folds together.
    "train_seconds": Objective("minimize", None, high=math.inf),
}


CLEAN = "_clean"


def as_clean(name: str) -> str:
    """Return what a score is called where pages are not worn for it: `f1_clean`."""
    return name + CLEAN


# Beside a score under wear; not logged after each epoch.
OBJECTIVES |= {
    as_clean(name): dataclasses.replace(objective, logged=None, clean=True)
    for name, objective in OBJECTIVES.items()
    if objective.score is not None
}

# What scikit-learn, torchmetrics and logs call them.
ELSEWHERE = {
    **dict.fromkeys(("macro_f1", "f1_macro", "f1_score", "f1score", "mf1"), "f1"),
    **dict.fromkeys(("acc", "top1", "accuracy_score", "micro_f1"), "accuracy"),
    **dict.fromkeys(("bacc", "macro_recall", "uar"), "balanced_accuracy"),
    **dict.fromkeys(("loss", "ce", "nll", "cross_entropy", "logloss"), "log_loss"),
    **dict.fromkeys(("time", "seconds", "duration", "train_time"), "train_seconds"),
}

# What the trial to train with is chosen by, with one objective; `src/results/choose.py` says more.
EACH_FOLD, MEAN = "each_fold", "mean"
CHOSEN_BY = (EACH_FOLD, MEAN)
# How one trial of a Pareto front is chosen; `src/results/choose.py` says what they mean.
RULES = ("tolerance", "knee", "best_first")


def directions_of(names: Sequence[str]) -> str | list[str]:
    """Return Optuna's direction of one objective, or a list of several."""
    # A wrong name is told by `check_objectives`; a config has to compose until then.
    found = [OBJECTIVES[name].direction if name in OBJECTIVES else "maximize" for name in names]
    return found[0] if len(found) == 1 else found


def check_objectives(cfg: DictConfig) -> None:
    """Refuse objectives that are unknown or cannot lead a search.

    Raises:
        UserError: names the key, the value and what to do.
    """
    names = list(cfg.optuna.objectives)
    if not names:
        raise UserError(f"optuna.objectives=[]: name at least one of {', '.join(OBJECTIVES)}")
    for name in names:
        if name not in OBJECTIVES:
            bare = re.sub(r"^(val|valid|validation|test)[/_]", "", name.lower())
            near = bare if bare in OBJECTIVES else ELSEWHERE.get(bare)
            hint = f"; did you mean {near}?" if near else did_you_mean(name, OBJECTIVES)
            raise UserError(f"optuna.objectives: '{name}' is unknown{hint}")
    if len(set(names)) < len(names):
        raise UserError(f"optuna.objectives={names}: each one counts once")
    if OBJECTIVES[names[0]].score is None:
        raise UserError(
            f"optuna.objectives={names}: pruning and ranking follow the first one, so put a score "
            "there, as in [f1, train_seconds]"
        )
    timed = [name for name in names[1:] if OBJECTIVES[name].score is None]
    if timed and cfg.quick_validation.seconds is not None:
        raise UserError(
            f"optuna.objectives={names}: with quick_validation.seconds="
            f"{cfg.quick_validation.seconds:g} all trials take as long; leave out {timed[0]}, or "
            "the seconds"
        )
    _check_clean(cfg, names)
    if cfg.optuna.choose_by not in CHOSEN_BY:
        hint = did_you_mean(cfg.optuna.choose_by, CHOSEN_BY)
        raise UserError(f"optuna.choose_by={cfg.optuna.choose_by}: unknown{hint}")
    if cfg.optuna.choose not in RULES:
        raise UserError(
            f"optuna.choose={cfg.optuna.choose}: unknown{did_you_mean(cfg.optuna.choose, RULES)}"
        )
    if not 0 <= cfg.optuna.tolerance < 1:
        raise UserError(f"optuna.tolerance={cfg.optuna.tolerance}: must be from 0 up to 1")
    wanted, given = directions_of(names), cfg.optuna.direction
    given = OmegaConf.to_container(given) if OmegaConf.is_config(given) else given
    if given != wanted:
        raise UserError(
            f"optuna.direction={given}: {names} are searched with {wanted}; leave the direction out"
        )


def _check_clean(cfg: DictConfig, names: Sequence[str]) -> None:
    """Refuse scores of clean pages where there are no others, or in front of them."""
    clean = [name for name in names if OBJECTIVES[name].clean]
    if not clean:
        return
    plain = clean[0].removesuffix(CLEAN)
    if wear_of(cfg) is None:
        raise UserError(
            f"optuna.objectives={names}: without quick_validation.wear every score is of clean "
            f"pages; write {plain}, or choose a wear, as in quick_validation.wear=document"
        )
    if OBJECTIVES[names[0]].clean:
        raise UserError(
            f"optuna.objectives={names}: pruning and ranking follow the first one, which is taken "
            f"under quick_validation.wear; leave the wear out to search by {plain} of clean pages, "
            f"or put a score under wear first, as in [{plain}, {clean[0]}]"
        )


def fold_score(name: str, labels: Labels, scores: Scores) -> float:
    """Return a fold's score.

    Args:
        name: an objective that predictions show.
        labels: [N].
        scores: [N, C], logits or log-probabilities.
    """
    score = OBJECTIVES[name].score
    assert score is not None
    return score(labels, scores)


OmegaConf.register_resolver("directions_of", directions_of, replace=True)
