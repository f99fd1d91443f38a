"""What pruners are shown: each trial once, in its bracket, by the first objective."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from omegaconf import OmegaConf
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from doctune.study.ownership import this_process
from doctune.study.pruners import Hyperband, PromotedPruner, make_pruner
from doctune.study.queue import interrupt, requeue_interrupted, reserve
from doctune.study.study import prunable
from doctune.trial import RunningTrial

STEPS = 9
HALVING = {"_target_": "optuna.pruners.SuccessiveHalvingPruner", "min_resource": 1}
HYPERBAND = {
    "_target_": "optuna.pruners.HyperbandPruner",
    **{"min_resource": 1, "max_resource": STEPS, "reduction_factor": 3},
}
PRUNERS: dict[str, dict[str, Any]] = {
    "median": {"_target_": "optuna.pruners.MedianPruner", "n_startup_trials": 2},
    "percentile": {
        **{"_target_": "optuna.pruners.PercentilePruner", "percentile": 25.0},
        "n_startup_trials": 2,
    },
    "halving": HALVING,
    "hyperband": HYPERBAND,
    "patient": {
        "_target_": "optuna.pruners.PatientPruner",
        "wrapped_pruner": HYPERBAND,
        "patience": 1,
    },
    "wilcoxon": {"_target_": "optuna.pruners.WilcoxonPruner", "p_threshold": 0.2},
    "threshold": {"_target_": "optuna.pruners.ThresholdPruner", "lower": 0.2},
    "promoted": {"_target_": "doctune.study.pruners.PromotedPruner", "patience": 2},
}
Curve = Sequence[float]


def curves(seed: int, number: int = 24) -> list[Curve]:
    """Return learning curves that cross one another."""
    rng = np.random.default_rng(seed)
    ends, speeds = rng.uniform(0.2, 1, number), rng.uniform(0.2, 2, number)
    steps = np.arange(1, STEPS + 1)
    return [
        (end * (1 - np.exp(-speed * steps)) + rng.normal(0, 0.03, STEPS)).tolist()
        for end, speed in zip(ends, speeds, strict=True)
    ]


def study_of(pruner: dict[str, Any], *directions: Any) -> optuna.Study:
    study = optuna.create_study(
        study_name="s", directions=list(directions), pruner=make_pruner(OmegaConf.create(pruner))
    )
    return prunable(study)


def begin(study: optuna.Study) -> RunningTrial:
    trial = reserve(study, this_process())
    trial._suggest("x", FloatDistribution(0, 1))
    return RunningTrial(study, trial.number, prune=True)


def train(trial: RunningTrial, curve: Curve, first: int = 0, end: int = STEPS) -> None:
    """Report from one step to another; a trial that comes to its end is told."""
    try:
        for step in range(first, end):
            trial.report(curve[step], step)
            trial.raise_if_over()
    except optuna.TrialPruned:
        trial.end_as_pruned()
        return
    if end == STEPS:
        several = len(trial.study.directions) > 1
        trial.end_as_complete([curve[-1], 1.0] if several else curve[-1])


def lengths(study: optuna.Study) -> list[int]:
    return [len(trial.intermediate_values) for trial in study.trials]


@pytest.mark.parametrize("name", PRUNERS)
def test_two_objectives_are_pruned_as_the_first_one_alone(name: str) -> None:
    alone, two = (
        study_of(PRUNERS[name], "maximize"),
        study_of(PRUNERS[name], "maximize", "minimize"),
    )
    for curve in curves(seed=1):
        train(begin(alone), curve)
        train(begin(two), curve)
    assert lengths(two) == lengths(alone)
    assert min(lengths(alone)) < STEPS, "or nothing was pruned"
    # Optuna's own, which takes one objective, decides in the same way.
    if name != "patient":
        plain = optuna.create_study(study_name="s", direction="maximize")
        target = str(PRUNERS[name]["_target_"]).rpartition(".")[2]
        keys = {key: value for key, value in PRUNERS[name].items() if key != "_target_"}
        plain.pruner = getattr(optuna.pruners, target, PromotedPruner)(**keys)
        for curve in curves(seed=1):
            trial = plain.ask({"x": FloatDistribution(0, 1)})
            for step, value in enumerate(curve):
                trial.report(value, step)
                if trial.should_prune():
                    plain.tell(trial, state=TrialState.PRUNED)
                    break
            else:
                plain.tell(trial, curve[-1])
        assert lengths(alone) == lengths(plain)


def rungs(study: optuna.Study, number: int) -> dict[str, float]:
    attrs = study.trials[number].system_attrs
    return {name: value for name, value in attrs.items() if name.startswith("completed_rung")}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ["halving", "hyperband", "patient"])
def test_a_trial_that_goes_on_is_judged_as_one_that_never_stopped(name: str, seed: int) -> None:
    # The best curve comes last, so that it passes rungs before it is cut off.
    *earlier, last = sorted(curves(seed), key=lambda curve: curve[-1])
    cut, whole = study_of(PRUNERS[name], "maximize"), study_of(PRUNERS[name], "maximize")
    for study in (cut, whole):
        for curve in earlier:
            train(begin(study), curve)
    train(begin(whole), last)
    stopped = begin(cut)
    train(stopped, last, end=5)
    if cut.trials[stopped.number].state is TrialState.PRUNED:
        assert lengths(cut) == lengths(whole)
        return
    interrupt(cut, cut.trials[stopped.number])
    requeue_interrupted(cut)
    again = begin(cut)
    assert again.number == stopped.number + 1
    for step in range(4):
        # Two folds of two epochs were finished.
        again.report_again(last[step], step)
    train(again, last, first=4)
    assert cut.trials[again.number].intermediate_values == whole.trials[-1].intermediate_values
    assert rungs(cut, again.number) == rungs(whole, stopped.number)
    if name == "hyperband":
        pruner = cut.pruner
        assert isinstance(pruner, Hyperband)
        bracket = [
            pruner._get_bracket_id(cut, cut.trials[number])
            for number in (stopped.number, again.number)
        ]
        assert len(set(bracket)) == 1
    # And those that come later meet it once.
    for study in (cut, whole):
        shown = again._shown if study is cut else begin(whole)._shown
        passed = [t for t in shown.get_trials() if "completed_rung_0" in t.system_attrs]
        assert len(passed) == len({tuple(t.intermediate_values.values()) for t in passed})
