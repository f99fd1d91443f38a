"""What TPE is shown of a long study: its best trials, the latest, and those that run.

TPE (Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization"; as Optuna has it, Watanabe
2023, arXiv 2304.11127) models the best few trials, 25 at most in Optuna, and all others, the older
the less they weigh. What it costs grows with all of them, what the oldest add falls to nothing. The
window keeps the best ones whenever they ran, so the model of the good ones is what it was.

Other samplers are left alone: a grid has to know every trial, and random ones look at none.
"""

import heapq
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from doctune.study.tally import Tally

# Share of the window that is kept for the best trials.
BEST_SHARE = 0.1
# Trials that TPE learns from.
OF_USE = (TrialState.COMPLETE, TrialState.PRUNED)
# System attribute in which Optuna keeps what must not be above 0.
CONSTRAINTS = "constraints"


def windowed(sampler: BaseSampler, most: int | None) -> BaseSampler:
    """Return a sampler that is shown at most so many finished trials, where it takes no harm.

    Args:
        sampler: of the study.
        most: finished trials; None: all.
    """
    if most is None or not isinstance(sampler, TPESampler):
        return sampler
    return WindowedSampler(sampler, most)


class Window:
    """The trials of one study that a sampler is shown, kept up as it grows.

    Args:
        study: has the directions.
        most: finished trials at most, a tenth of them the best.
    """

    def __init__(self, study: optuna.Study, most: int) -> None:
        self._signs = [-1 if each == StudyDirection.MAXIMIZE else 1 for each in study.directions]
        self._most = most
        self._n_best = max(1, int(BEST_SHARE * most))
        self._tally = Tally()
        # The best by each objective, then those pruned that came farthest.
        self._best: list[list[FrozenTrial]] = [[] for _ in self._signs]
        self._pruned: list[FrozenTrial] = []

    def look(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return those that are shown, in the order of their numbers.

        Args:
            trials: all of the study, in that order.
        """
        self._rank(self._tally.look(trials))
        latest: list[FrozenTrial] = []
        for trial in reversed(trials):
            if len(latest) == self._most - self._n_best:
                break
            if trial.state in OF_USE:
                latest.append(trial)
        shown = {trial.number: trial for trial in (*self._the_best(), *latest)}
        shown.update((one.number, one) for one in self._tally.unfinished(trials))
        return [shown[number] for number in sorted(shown)]

    def _rank(self, ended: Iterable[FrozenTrial]) -> None:
        allowed = [each for each in ended if each.state in OF_USE and _is_allowed(each)]
        complete = [each for each in allowed if each.state is TrialState.COMPLETE]
        for place, sign in enumerate(self._signs):
            key = _by_value(place, sign)
            self._best[place] = heapq.nsmallest(self._n_best, self._best[place] + complete, key)
        pruned = self._pruned + [each for each in allowed if each.state is TrialState.PRUNED]
        self._pruned = heapq.nsmallest(self._n_best, pruned, _by_reach(self._signs[0]))

    def _the_best(self) -> list[FrozenTrial]:
        """Return the best as TPE ranks them: complete ones, then those that came far.

        Of several objectives each has its share.
        """
        share = -(-self._n_best // len(self._signs))
        best = [trial for ranked in self._best for trial in ranked[:share]]
        return [*best, *self._pruned[: max(0, self._n_best - len(best))]]


def _is_allowed(trial: FrozenTrial) -> bool:
    return all(value <= 0 for value in trial.system_attrs.get(CONSTRAINTS) or ())


def _by_value(place: int, sign: int) -> Callable[[FrozenTrial], float]:
    return lambda trial: sign * float(trial.values[place])


def _by_reach(sign: int) -> Callable[[FrozenTrial], tuple[float, float]]:
    def key(trial: FrozenTrial) -> tuple[float, float]:
        last = trial.last_step
        return (1.0, 0.0) if last is None else (-last, sign * trial.intermediate_values[last])

    return key


class WindowedStudy:
    """A study as a sampler is shown it; all but its trials is the study's own."""

    def __init__(self, study: optuna.Study, trials: list[FrozenTrial]) -> None:
        self._study = study
        self._shown = trials

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._study, name)

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return those that are shown; never copies, as samplers change none."""
        return self._get_trials(deepcopy, states)

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        if states is None:
            return self._shown
        return [trial for trial in self._shown if trial.state in states]


class WindowedSampler(BaseSampler):
    """Lets another sampler propose from a window of the study, which is read once a proposal.

    Args:
        sampler: proposes.
        most: finished trials that it is shown.
    """

    def __init__(self, sampler: BaseSampler, most: int) -> None:
        self._sampler = sampler
        self._most = most
        self._window: Window | None = None
        # All trials that the last window was made of, and what it showed.
        self._last: tuple[list[FrozenTrial], list[FrozenTrial]] = ([], [])

    def reseed_rng(self) -> None:
        """Draw other numbers than another process with the same seed."""
        self._sampler.reseed_rng()

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Tell the sampler that a trial begins."""
        self._sampler.before_trial(study, trial)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Tell the sampler that a trial ends."""
        self._sampler.after_trial(study, trial, state, values)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return what is drawn together."""
        return self._sampler.infer_relative_search_space(self._view(study), trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw the parameters that are drawn together."""
        return self._sampler.sample_relative(self._view(study), trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw one parameter."""
        view = self._view(study)
        return self._sampler.sample_independent(view, trial, param_name, param_distribution)

    def _view(self, study: optuna.Study) -> Any:
        # Read once a proposal: `next_trial` and `fresh_trial` leave there what they have read.
        trials = study._get_trials(deepcopy=False, use_cache=True)
        if trials and trials[-1].number != len(trials) - 1:
            # A bracket of Hyperband's, which has a part of them.
            return study
        if trials is not self._last[0]:
            self._window = self._window or Window(study, self._most)
            self._last = (trials, self._window.look(trials))
        return WindowedStudy(study, self._last[1])
