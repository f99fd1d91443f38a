"""What a study has found, worked out once for tables, files and the report."""

import datetime
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from src.results.choose import choose
from src.results.paired import PairedDifference, corrected_resampled_t

# Below this many folds nothing can be said of how sure a gain is.
ENOUGH_FOLDS = 3
# Below this many finished trials importances are noise.
ENOUGH_FOR_IMPORTANCES = 8
# Trials in the tables of the best.
TOP = 10


@dataclass(frozen=True)
class Summary:
    """A study in figures."""

    name: str
    # Complete trials, the best first (by the first objective).
    ranked: list[FrozenTrial]
    pruned: list[FrozenTrial]
    failed: list[FrozenTrial]
    running: list[FrozenTrial]
    # The trial that ran with the config's own values, if it is complete.
    defaults: FrozenTrial | None
    # Parameter -> share of the variation of the score that it explains.
    importances: dict[str, float]
    # Epochs that were trained, and that would have been without pruning.
    epochs: int
    epochs_without_pruning: int
    # In which at least one trial ran, and of all trials together.
    seconds: float
    trial_seconds: float
    # Best trial against the defaults on the same folds; None where that cannot be said.
    gain: PairedDifference | None
    # Names of the objectives, the one that trials are ranked by first.
    objectives: list[str]
    # Numbers of the trials that no other beats in all objectives; empty with one objective.
    front: list[int]

    @property
    def best(self) -> FrozenTrial | None:
        """Return the best complete trial."""
        return self.ranked[0] if self.ranked else None

    @property
    def top(self) -> list[FrozenTrial]:
        """Return the best complete trials, those that tables show."""
        return self.ranked[:TOP]

    @property
    def finished(self) -> int:
        """Return how many trials ended, interrupted ones left out."""
        return len(self.ranked) + len(self.pruned) + len(self.failed)

    @property
    def pruned_share(self) -> float:
        """Return the share of trials that were ended early."""
        return len(self.pruned) / self.finished if self.finished else 0.0

    @property
    def saved_share(self) -> float:
        """Return the share of epochs that pruning has saved."""
        if not self.epochs_without_pruning:
            return 0.0
        return 1 - self.epochs / self.epochs_without_pruning


def summarize(study: optuna.Study) -> Summary:
    """Read a study, finished or not."""
    trials = [t for t in study.get_trials(deepcopy=False) if not t.user_attrs.get("interrupted")]
    by_state = {
        state: [t for t in trials if t.state is state]
        for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING)
    }
    ranked = rank(study, by_state[TrialState.COMPLETE])
    pruned, failed = by_state[TrialState.PRUNED], by_state[TrialState.FAIL]
    full = max((len(t.intermediate_values) for t in ranked), default=0)
    spans = sorted(
        (t.datetime_start, t.datetime_complete or datetime.datetime.now())
        for t in study.get_trials(deepcopy=False)
        if t.datetime_start
    )
    defaults = next((t for t in ranked if t.user_attrs.get("defaults")), None)
    several = len(study.directions) > 1
    return Summary(
        name=study.study_name,
        ranked=ranked,
        pruned=pruned,
        failed=failed,
        running=by_state[TrialState.RUNNING],
        defaults=defaults,
        importances=importances(study, ranked),
        epochs=sum(len(t.intermediate_values) for t in [*ranked, *pruned]),
        epochs_without_pruning=full * len([*ranked, *pruned]),
        seconds=_covered(spans).total_seconds(),
        trial_seconds=sum((end - start).total_seconds() for start, end in spans),
        gain=gain(study, ranked[0], defaults) if ranked and defaults else None,
        objectives=_objectives(study),
        front=[t.number for t in study.best_trials] if several and ranked else [],
    )


def _covered(spans: Sequence[tuple[datetime.datetime, datetime.datetime]]) -> datetime.timedelta:
    """Return how long at least one of some spans lasted, given in the order of their starts."""
    covered, until = datetime.timedelta(), datetime.datetime.min
    for start, end in spans:
        if end > until:
            covered += end - max(start, until)
            until = end
    return covered


def gain(study: optuna.Study, best: FrozenTrial, defaults: FrozenTrial) -> PairedDifference | None:
    """Compare a trial with the defaults, fold by fold; positive is better.

    None where they have no folds in common, or fewer than three: two differences leave an
    interval that is wider than the scores can be.
    """
    ours, theirs = (trial.user_attrs.get("folds") or [] for trial in (best, defaults))
    if best.number == defaults.number or len(ours) != len(theirs) or len(ours) < ENOUGH_FOLDS:
        return None
    sign = 1 if study.directions[0] == StudyDirection.MAXIMIZE else -1
    differences = [sign * (a - b) for a, b in zip(ours, theirs, strict=True)]
    return corrected_resampled_t(differences, folds=len(ours))


def _objectives(study: optuna.Study) -> list[str]:
    if study.metric_names:
        return list(study.metric_names)
    return (
        ["score"]
        if len(study.directions) == 1
        else [f"objective {i}" for i, _ in enumerate(study.directions)]
    )


def rank(study: optuna.Study, complete: list[FrozenTrial]) -> list[FrozenTrial]:
    """Sort complete trials by the first objective, the best first.

    With several objectives the one that the rule of `src/results/choose.py` chooses leads.
    """
    best_is_highest = study.directions[0] == StudyDirection.MAXIMIZE
    ranked = sorted(complete, key=lambda t: t.values[0], reverse=best_is_highest)
    if len(study.directions) > 1 and ranked:
        chosen = choose(study, study.best_trials, **study.user_attrs.get("choose", {}))
        ranked.sort(key=lambda t: t.number != chosen.number)
    return ranked


def importances(study: optuna.Study, complete: list[FrozenTrial]) -> dict[str, float]:
    """Return parameter importances by PED-ANOVA (Watanabe et al., IJCAI 2023, arXiv 2304.10255).

    Empty below `ENOUGH_FOR_IMPORTANCES` complete trials, or where scores do not differ.
    """
    if len(complete) < ENOUGH_FOR_IMPORTANCES or len({t.values[0] for t in complete}) < 2:
        return {}
    # With a target, PED-ANOVA asks what makes it low, whatever the study's direction.
    sign = -1 if study.directions[0] == StudyDirection.MAXIMIZE else 1
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*computes the importances.*low.*")
            return get_param_importances(
                study,
                evaluator=PedAnovaImportanceEvaluator(),
                target=lambda trial: sign * trial.values[0],
            )
    except (ValueError, RuntimeError):
        # No parameter that all complete trials have in common, or one value only.
        return {}
