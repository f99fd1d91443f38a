"""What a study has found, worked out once for tables, files and the report."""

import warnings
from dataclasses import dataclass

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

# Below this many finished trials importances are noise.
ENOUGH_FOR_IMPORTANCES = 8
MANY_PRUNED = 0.6
FEW_FINISHED = 10


@dataclass(frozen=True)
class Summary:
    """A study in figures."""

    name: str
    # Complete trials, the best first (by the first objective).
    ranked: list[FrozenTrial]
    pruned: list[FrozenTrial]
    failed: list[FrozenTrial]
    # The trial that ran with the config's own values, if it is complete.
    defaults: FrozenTrial | None
    # Parameter -> share of the variation of the score that it explains.
    importances: dict[str, float]
    # Epochs that were trained, and that would have been without pruning.
    epochs: int
    epochs_without_pruning: int
    # From the first start to the last end, in seconds.
    seconds: float
    # What to do differently next time, in words.
    advice: list[str]

    @property
    def best(self) -> FrozenTrial | None:
        """Return the best complete trial."""
        return self.ranked[0] if self.ranked else None

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
        for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    }
    ranked = rank(study, by_state[TrialState.COMPLETE])
    pruned, failed = by_state[TrialState.PRUNED], by_state[TrialState.FAIL]
    full = max((len(t.intermediate_values) for t in ranked), default=0)
    starts = [t.datetime_start for t in trials if t.datetime_start]
    ends = [t.datetime_complete for t in trials if t.datetime_complete]
    return Summary(
        name=study.study_name,
        ranked=ranked,
        pruned=pruned,
        failed=failed,
        defaults=next((t for t in ranked if t.user_attrs.get("defaults")), None),
        importances=importances(study, ranked),
        epochs=sum(len(t.intermediate_values) for t in [*ranked, *pruned]),
        epochs_without_pruning=full * len([*ranked, *pruned]),
        seconds=(max(ends) - min(starts)).total_seconds() if starts and ends else 0.0,
        advice=advice(len(ranked), len(pruned), len(failed)),
    )


def rank(study: optuna.Study, complete: list[FrozenTrial]) -> list[FrozenTrial]:
    """Sort complete trials by the first objective, the best first."""
    best_is_highest = study.directions[0] == StudyDirection.MAXIMIZE
    return sorted(complete, key=lambda t: t.values[0], reverse=best_is_highest)


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


def advice(complete: int, pruned: int, failed: int) -> list[str]:
    """Say what looks wrong with the search and which key to change."""
    found = []
    total = complete + pruned + failed
    if total and pruned / total > MANY_PRUNED:
        found.append(
            f"{pruned} of {total} trials were pruned. Raise pruning.patience or "
            "pruning.n_startup_trials so that more of them are seen to the end."
        )
    if total and complete < FEW_FINISHED:
        found.append(
            f"Only {complete} trials ran to the end: too few to trust small differences. "
            "Raise optuna.n_trials and run the same command again; it goes on from here."
        )
    if failed:
        found.append(f"{failed} trials failed; the reasons are listed under Failures.")
    return found
