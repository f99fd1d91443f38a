"""Optuna's pruners, and what they are shown of a study: each trial once, led by one objective.

A trial that was interrupted and the one that continues it are one trial to a pruner: it counts
once among those that reached a step, and Hyperband keeps it in its bracket, which Optuna derives
from the number. Of several objectives pruners know the first one, which is what jobs report.
"""

import copy
import math
from collections.abc import Container
from typing import Any

import numpy as np
import optuna
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    NopPruner,
    PatientPruner,
    PercentilePruner,
    ThresholdPruner,
)
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from doctune.named_in_config import told_by_key
from doctune.study.pruning_safety import LET_THROUGH, STOPPED
from doctune.study.study import BEGAN_AS, StudyLedByFirst, was_interrupted

PRUNER_WHITELIST = ("optuna.pruners.*", "doctune.study.pruners.*")
# What pruners know of a trial beside its values: whether it counts, for which bracket, and whether
# it was ended or let through.
NOTES = ("interrupted", BEGAN_AS, STOPPED, LET_THROUGH)


def make_pruner(config: DictConfig | None) -> optuna.pruners.BasePruner:
    """Make the pruner that `hydra.sweeper.pruner` describes."""
    if config is None:
        return optuna.pruners.NopPruner()
    with told_by_key("hydra.sweeper.pruner"):
        described = _with_brackets(OmegaConf.to_container(config, resolve=True))
        made: optuna.pruners.BasePruner = instantiate(
            described, _execution_whitelist_=PRUNER_WHITELIST
        )
    return made


def _with_brackets(described: Any) -> Any:
    """Put our Hyperband in the place of Optuna's, which another pruner may wrap."""
    if not isinstance(described, dict):
        return described
    found = {key: _with_brackets(value) for key, value in described.items()}
    if str(found.get("_target_")) == "optuna.pruners.HyperbandPruner":
        found["_target_"] = f"{__name__}.Hyperband"
    return found


def compares_running(pruner: optuna.pruners.BasePruner) -> bool:
    """Tell whether a pruner looks at what trials report that still run."""
    if isinstance(pruner, PatientPruner) and pruner._wrapped_pruner is not None:
        return compares_running(pruner._wrapped_pruner)
    return not isinstance(pruner, (PercentilePruner, ThresholdPruner, NopPruner, PatientPruner))


class StudyOfPruners(StudyLedByFirst):
    """A study as pruners are shown it.

    Args:
        study: the study.
        storage: of the study; may read no parameters, and of the notes `NOTES` alone.
    """

    def __init__(self, study: optuna.Study, storage: BaseStorage | None = None) -> None:
        super().__init__(study.study_name, storage or study._storage, study.sampler, study.pruner)

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials but those that others continue."""
        return [one for one in super().get_trials(deepcopy, states) if not was_interrupted(one)]

    @property
    def best_trial(self) -> FrozenTrial:
        """Return the best trial by the first objective.

        Raises:
            ValueError: none is complete.
        """
        complete = self.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        sign = 1 if self.direction == StudyDirection.MAXIMIZE else -1
        return max(complete, key=lambda trial: sign * trial.values[0])


class PromotedPruner(BasePruner):
    """Ends what is below a percentile of the trials that were promoted at the same rung.

    A rung is a report at which values are whole, such as the end of a fold; `RunningTrial.report`
    is told. As in asynchronous halving (ASHA, Li et al. 2020, arXiv:1810.05934) nobody waits: the
    first comes through, and each later one is compared with those who are there. Others differ in
    who these are. ASHA's are all that have reached the rung, so a fixed share goes on; Optuna's
    `MedianPruner` takes complete trials, of which there are none yet where many run at a time.
    Here they are the trials that went on, whether complete or running: each that is promoted
    raises the bar for the next ones. `docs/curves.md` has the three replayed.

    Example:

        study = optuna.create_study(direction="maximize", pruner=PromotedPruner(percentile=50))

    Args:
        percentile: of the promoted trials; 50: the better half of them, 25: their best quarter, is
            what a trial has to be among.
        patience: reports that every trial is given.
        n_startup_trials: nobody is ended at a rung that fewer trials have gone on from. Of these
            first ones those that would have been ended do not count afterwards.

    Raises:
        ValueError: a number is out of its range.
    """

    # Not asked in between, where values are of an unfinished fold.
    at_rungs = True

    def __init__(
        self, percentile: float = 50.0, patience: int = 0, n_startup_trials: int = 1
    ) -> None:
        if not 0 <= percentile <= 100:
            raise ValueError(f"percentile must be from 0 to 100, not {percentile}")
        if patience < 0:
            raise ValueError(f"patience must not be negative, but is {patience}")
        if n_startup_trials < 0:
            raise ValueError(f"n_startup_trials must not be negative, but is {n_startup_trials}")
        self._percentile, self._patience = percentile, patience
        # The first has nobody to be compared with.
        self._least = max(1, n_startup_trials)

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Tell whether a trial ends, by its last report."""
        step = trial.last_step
        if step is None or step + 1 < self._patience:
            return False
        value = trial.intermediate_values[step]
        if math.isnan(value):
            return True
        sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
        went_on = [
            sign * one.intermediate_values[step]
            for one in study.get_trials(
                deepcopy=False, states=(TrialState.COMPLETE, TrialState.RUNNING)
            )
            if step in one.intermediate_values
            and one.number != trial.number
            # It was below the bar, and would lower it.
            and LET_THROUGH not in one.user_attrs
        ]
        went_on = [other for other in went_on if not math.isnan(other)]
        if len(went_on) < self._least:
            return False
        promoted: list[float] = []
        for place, other in enumerate(went_on):
            # So would those that went on because they were among the first.
            if place >= self._least or not promoted or other >= self._bar(promoted):
                promoted.append(other)
        return sign * value < self._bar(promoted)

    def _bar(self, promoted: list[float]) -> float:
        """Return what a trial has to have; the higher, the better."""
        return float(np.percentile(promoted, 100 - self._percentile))


class Hyperband(HyperbandPruner):
    """Optuna's Hyperband for studies that go on, and for several objectives."""

    def _get_bracket_id(self, study: optuna.Study, trial: FrozenTrial) -> int:
        began_as = trial.user_attrs.get(BEGAN_AS, trial.number)
        if began_as != trial.number:
            trial = copy.copy(trial)
            trial.number = began_as
        return super()._get_bracket_id(study, trial)

    def _create_bracket_study(self, study: optuna.Study, bracket_id: int) -> optuna.Study:
        bracket = super()._create_bracket_study(study, bracket_id)
        kind: Any = type(bracket)

        class Shown(kind):  # type: ignore[misc]
            """Optuna's view of a bracket is a study that several objectives make useless."""

            @property
            def direction(self) -> StudyDirection:
                first: StudyDirection = self.directions[0]
                return first

            def get_trials(self, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
                found = kind.get_trials(self, *args, **kwargs)
                return [one for one in found if not was_interrupted(one)]

        return Shown(study, self, bracket_id)  # type: ignore[no-any-return]
