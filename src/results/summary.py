"""What a study has found, worked out once for tables, files and the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from doctune.passwords import without_passwords
from doctune.study.expected_gain import ExpectedGain, expected_gain
from doctune.study.ownership import seems_gone
from doctune.study.pruning_safety import PruningSafety, pruning_safety
from doctune.study.study import was_interrupted
from doctune.words import counted
from src.before.objectives import EACH_FOLD
from src.before.trial_length import EPOCHS, SECONDS
from src.data.wear_presets import KEY, NONE
from src.results.choose import TOLERANCE, choose, choose_by_folds, chosen_by
from src.results.confirmation.full_length import FullLength
from src.results.confirmation.judge import PairedDifference, corrected_resampled_t
from src.results.importances import Group, Importances
from src.results.time_spent import Span, covered, ended, runs

# Where a study keeps `trainer.max_epochs`.
EPOCHS_IN_FULL = "epochs_in_full"
# Below this many folds nothing can be said of how sure a gain is.
ENOUGH_FOLDS = 3
# Reasons to end a trial that are not the pruner's, with the key of the limit that was over.
OUT_OF_TIME = {
    "timeout": "optuna.timeout",
    "trial_timeout": "optuna.trial_timeout",
    "job_time": "hydra.launcher.timeout_min",
}
# Trials in the tables of the best.
TOP = 10


@dataclass(frozen=True)
class Summary:
    """A study in figures."""

    name: str
    # Complete trials: the one that was chosen, then the others by the first objective, best first.
    ranked: list[FrozenTrial]
    pruned: list[FrozenTrial]
    failed: list[FrozenTrial]
    running: list[FrozenTrial]
    # Still marked as running, though the process that ran them is gone.
    lost: list[FrozenTrial]
    # Those that lost their process and were queued again as others; they count nowhere.
    interrupted: list[FrozenTrial]
    # The trial that ran with the config's own values, if it is complete.
    defaults: FrozenTrial | None
    # Whether a higher score is better, by the first objective.
    maximize: bool
    # Config key -> share of what decides about the score, for the keys that all trials searched.
    importances: dict[str, float]
    # Trials by what they searched: one group, or one a model; that of the best trial first.
    groups: list[Group]
    # Epochs that were trained, and that would have been if the pruner had ended none.
    epochs: int
    epochs_without_pruning: int
    # The runs of the search, in order: what was begun once and went on after a pause.
    runs: list[Span]
    # In which at least one trial ran, and of all trials together.
    seconds: float
    trial_seconds: float
    # Best trial against the defaults on the same folds; None where that cannot be said.
    gain: PairedDifference | None
    # Names of the objectives, the one that trials are ranked by first.
    objectives: list[str]
    # Numbers of the trials that no other beats in all objectives; empty with one objective.
    front: list[int]
    # The rule that chose among these, and its tolerance (`src/results/choose.py`).
    rule: str
    tolerance: float
    # What the trial was chosen by where there is one objective.
    chosen_by: str = EACH_FOLD
    # What complete trials tell of the pruning; None where nothing was pruned, or they are too few.
    pruning: PruningSafety | None = None
    # What more trials would add to the best; None with several objectives, or too few trials.
    expected: ExpectedGain | None = None
    # What pages were worn by before they were scored; empty: by nothing.
    wear: str = ""
    # `quick_validation.seconds`; 0: trials train the same epochs.
    equal_seconds: float = 0.0
    # `trainer.max_epochs`, which what was found is trained for; 0: not known, of an older study.
    epochs_in_full: int = 0
    # The best and the defaults after so many; None where they were not trained in full.
    in_full: FullLength | None = None

    @property
    def length_key(self) -> str:
        """Return the key that makes trials longer or shorter."""
        return SECONDS if self.equal_seconds else EPOCHS

    def in_steps(self, count: int) -> str:
        """Say after how many steps trials are compared: epochs, or shares of an equal time."""
        if not self.equal_seconds:
            return counted(count, "epoch")
        return f"{counted(count, 'equal share')} of the time"

    @property
    def best(self) -> FrozenTrial | None:
        """Return the complete trial that was chosen."""
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
        """Return the share of trials that the pruner has ended."""
        return len(self.by_pruner) / self.finished if self.finished else 0.0

    @property
    def seconds_saved(self) -> float:
        """Return the training time that the pruner has saved; 0 where trials did not note theirs.

        What is left of each trial at its own pace; starting a worker and reading data are no part
        of that.
        """
        paces = [pace for t in [*self.by_pruner, *self.ranked] if (pace := seconds_an_epoch(t))]
        if not paces:
            return 0.0
        usual = median(paces)
        spared = epochs_spared(self.ranked, self.by_pruner)
        return sum(
            epochs * (seconds_an_epoch(trial) or usual)
            for epochs, trial in zip(spared, self.by_pruner, strict=True)
        )

    @property
    def by_pruner(self) -> list[FrozenTrial]:
        """Return the trials that the pruner has ended."""
        return [t for t in self.pruned if t.user_attrs.get("stopped") not in OUT_OF_TIME]

    @property
    def out_of_time(self) -> dict[str, list[FrozenTrial]]:
        """Return `optuna.timeout` and its like -> the trials that were ended by it."""
        found: dict[str, list[FrozenTrial]] = {}
        for reason, key in OUT_OF_TIME.items():
            trials = [t for t in self.pruned if t.user_attrs.get("stopped") == reason]
            if trials:
                found[key] = trials
        return found

    @property
    def all_equal(self) -> bool:
        """Tell whether three trials or more are complete and all have the same score."""
        return len(self.ranked) > 2 and len({t.values[0] for t in self.ranked}) == 1

    @property
    def failure_reasons(self) -> list[tuple[str, list[int]]]:
        """Return the reasons of failed trials and their numbers, the most frequent first."""
        numbers: dict[str, list[int]] = {}
        for trial in self.failed:
            reason = without_passwords(str(trial.user_attrs.get("error", "unknown")))
            numbers.setdefault(reason, []).append(trial.number)
        return sorted(numbers.items(), key=lambda item: -len(item[1]))

    @property
    def highest(self) -> FrozenTrial:
        """Return the complete trial that is best by the first objective alone."""
        order = max if self.maximize else min
        return order(self.ranked, key=lambda trial: trial.values[0])

    @property
    def saved_share(self) -> float:
        """Return the share of epochs that the pruner has saved."""
        if not self.epochs_without_pruning:
            return 0.0
        return 1 - self.epochs / self.epochs_without_pruning


def summarize(study: optuna.Study) -> Summary:
    """Read a study, finished or not."""
    everything = study.get_trials(deepcopy=False)
    trials = [t for t in everything if not was_interrupted(t)]
    by_state = {
        state: [t for t in trials if t.state is state]
        for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING)
    }
    ranked = rank(study, by_state[TrialState.COMPLETE])
    pruned, failed = by_state[TrialState.PRUNED], by_state[TrialState.FAIL]
    lost = [t for t in by_state[TrialState.RUNNING] if seems_gone(t)]
    gone = {t.number for t in lost}
    running = [t for t in by_state[TrialState.RUNNING] if t.number not in gone]
    spans = [
        Span(t.datetime_start, ended(t, t.state is TrialState.RUNNING and t.number not in gone))
        for t in everything
        if t.datetime_start
    ]
    defaults = next((t for t in ranked if t.user_attrs.get("defaults")), None)
    several = len(study.directions) > 1
    maximize = study.directions[0] == StudyDirection.MAXIMIZE
    ended_by_pruner = [t for t in pruned if t.user_attrs.get("stopped") not in OUT_OF_TIME]
    important = Importances(ranked, ended_by_pruner, maximize)
    epochs = sum(epochs_of(t) for t in [*ranked, *pruned])
    rule: Mapping[str, Any] = study.user_attrs.get("choose", {})
    settings = study.user_attrs.get("settings", {})
    wear = str(settings.get(KEY, NONE))
    full = int(study.user_attrs.get(EPOCHS_IN_FULL, 0))
    return Summary(
        name=study.study_name,
        ranked=ranked,
        pruned=pruned,
        failed=failed,
        running=running,
        lost=lost,
        interrupted=[t for t in everything if was_interrupted(t)],
        defaults=defaults,
        maximize=maximize,
        importances=important.of_all(),
        groups=important.groups(),
        epochs=epochs,
        epochs_without_pruning=epochs + sum(epochs_spared(ranked, ended_by_pruner)),
        runs=runs(spans),
        seconds=sum(span.seconds for span in covered(spans)),
        trial_seconds=sum(span.seconds for span in spans),
        gain=gain(study, ranked[0], defaults) if defaults and defaults is not ranked[0] else None,
        objectives=_objectives(study),
        front=[t.number for t in study.best_trials] if several and ranked else [],
        rule=str(rule.get("rule", "tolerance")),
        tolerance=float(rule.get("tolerance", TOLERANCE)),
        chosen_by=chosen_by(study),
        pruning=pruning_safety(trials, maximize),
        expected=None if several else expected_gain(trials, maximize),
        wear="" if wear == NONE else wear,
        equal_seconds=float(settings.get(SECONDS) or 0),
        epochs_in_full=full,
        in_full=FullLength.of(study, ranked[0].number, defaults.number, full) if defaults else None,
    )


def seconds_an_epoch(trial: FrozenTrial) -> float | None:
    """Return the seconds of an epoch of a trial, None where it has not noted them."""
    seconds, epochs = (trial.user_attrs.get(name) for name in ("train_seconds", "epochs"))
    return seconds / epochs if seconds and epochs else None


def epochs_of(trial: FrozenTrial) -> int:
    """Return the epochs that a trial has trained in all folds.

    As it has noted them: under `quick_validation.seconds` not each is reported.
    """
    return int(trial.user_attrs.get("epochs", len(trial.intermediate_values)))


def epochs_spared(complete: Sequence[FrozenTrial], pruned: Sequence[FrozenTrial]) -> list[int]:
    """Return how many epochs each pruned trial was spared.

    Of those that a trial was to have, as it has noted; without a note, of those that the longest
    complete trial had.
    """
    longest = max(map(epochs_of, complete), default=0)
    planned = [t.user_attrs.get("workload", {}).get("epochs", longest) for t in pruned]
    return [
        max(0, int(epochs) - epochs_of(trial))
        for epochs, trial in zip(planned, pruned, strict=True)
    ]


def gain(study: optuna.Study, best: FrozenTrial, other: FrozenTrial) -> PairedDifference | None:
    """Compare a trial with another one, fold by fold; positive is better.

    None where they have no folds in common, or fewer than three: two differences leave an
    interval that is wider than the scores can be.
    """
    ours, theirs = (trial.user_attrs.get("folds") or [] for trial in (best, other))
    if len(ours) != len(theirs) or len(ours) < ENOUGH_FOLDS:
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

    The one that is trained with leads, by the rules of `src/results/choose.py`.
    """
    best_is_highest = study.directions[0] == StudyDirection.MAXIMIZE
    ranked = sorted(complete, key=lambda t: t.values[0], reverse=best_is_highest)
    if not ranked:
        return ranked
    if len(study.directions) > 1:
        rule = {
            key: value for key, value in study.user_attrs.get("choose", {}).items() if key != "by"
        }
        chosen = choose(study, study.best_trials, **rule)
    else:
        chosen = choose_by_folds(ranked, best_is_highest, chosen_by(study))
    ranked.sort(key=lambda t: t.number != chosen.number)
    return ranked
