"""The report: one HTML file that opens anywhere, with nothing loaded from the net."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import plotly.graph_objects as go
from markupsafe import Markup
from optuna.trial import FrozenTrial

from doctune.commands import command, override
from doctune.passwords import without_passwords
from doctune.words import counted, duration, score, settings_of, short, show
from src.before.trial_length import EPOCHS, SECONDS
from src.data.pages_to_come.compare import Comparison
from src.data.pages_to_come.show import as_html
from src.results.all_trials import all_trials
from src.results.best_trials import describe_score
from src.results.confirmation.judge import Confirmation
from src.results.confusions import Mistakes
from src.results.ensemble.result import EnsembleResult
from src.results.html import Plot, environment, packed_json, packed_plotly
from src.results.importances import ENOUGH_FOR_IMPORTANCES, Group
from src.results.more_trials import more_trials
from src.results.plots import confusion, folds, parameters, progress
from src.results.pruning import was_it_safe, what_was_ended
from src.results.summary import Summary
from src.results.suspects.find import Suspects
from src.results.under_wear import clean_column, clean_score, wear_sentence
from src.results.verdict import Verdict, in_full_sentence
from src.trial.length import LENGTH

# Trials that are named with a reason for failing.
NAMED = 10
# Groups of trials, those of one model for instance, that have plots of their own.
MOST_GROUPS = 6


@dataclass(frozen=True)
class Decision:
    """What the page opens with."""

    # The trial to train with; None without a complete one.
    chosen: FrozenTrial | None
    verdict: Verdict
    # What trains with it.
    command: str | None
    confirmations: Sequence[Confirmation]
    # The best few together, where they were combined.
    ensemble: EnsembleResult | None
    # What to change, in words.
    advice: Sequence[str]


@dataclass(frozen=True)
class Labels:
    """Labels that are probably wrong, and their table in full."""

    suspects: Suspects
    table: Path

    @property
    def again(self) -> str:
        """Return what is added to the command of a search to take the table back."""
        return override("data.labels", str(self.table))


@dataclass(frozen=True)
class GroupPlots:
    """What is drawn of the trials that searched the same parameters."""

    group: Group
    # Only where there are several groups.
    importances: Plot | None
    parallel: Plot | None
    # Parameters without an axis, as they are the same in all these trials.
    left_out: Sequence[str]

    @property
    def of(self) -> str:
        """Return whose they are, as in "All together, convnext_tiny"."""
        return f", {self.group.name}" if self.group.name else ""


def render_report(
    study: optuna.Study,
    found: Summary,
    decision: Decision,
    mistakes: Mistakes | None,
    trials_in_full: Any,
    labels: Labels | None = None,
    to_come: Comparison | None = None,
) -> str:
    """Return the page.

    Args:
        study: finished or not.
        found: its summary.
        decision: what to do now.
        mistakes: of the chosen trial; None where it left no predictions.
        trials_in_full: as `src/results/in_full.py` has found them.
        labels: those that are probably wrong; None where none were looked for.
        to_come: how pages to classify differ from those to train on, where they were given.
    """
    plots = {plot.name: plot for plot in _plots(study, found, mistakes)}
    groups = _group_plots(found)
    slices = [
        (key, Plot(f"slice-{i}", figure))
        for i, (key, figure) in enumerate(parameters.slices(found), 1)
    ]
    of_groups = [
        plot for each in groups for plot in (each.importances, each.parallel) if plot is not None
    ]
    facts = _facts(study)
    template = environment().get_template("report.html.j2")
    return template.render(
        found=found,
        decision=decision,
        verdict=decision.verdict,
        mistakes=mistakes,
        labels=labels,
        to_come=None if to_come is None else as_html(to_come),
        top=found.top,
        front=[trial for trial in found.ranked if trial.number in found.front],
        keys=list(dict.fromkeys(key for trial in found.top for key in settings_of(trial.params))),
        settings_of=settings_of,
        plots=plots,
        groups=groups,
        other_groups=found.groups[MOST_GROUPS:],
        enough=ENOUGH_FOR_IMPORTANCES,
        caught_up=in_full_sentence(found, decision.confirmations),
        under_wear=wear_sentence(found, decision.chosen),
        clean_column=clean_column(found),
        clean_score=clean_score,
        slices=slices,
        drawn=[*plots.values(), *(plot for _, plot in slices), *of_groups],
        interval=_interval(found, decision),
        failures=_failures(found),
        facts=facts,
        pruning=f"{what_was_ended(found)} {was_it_safe(found)}".strip(),
        more_trials=more_trials(found),
        now=f"{datetime.datetime.now():%Y-%m-%d %H:%M}",
        counted=counted,
        describe_score=describe_score,
        duration=duration,
        show=show,
        score=score,
        short=short,
        subject=_subject(facts, found.ranked),
        all_trials=all_trials(study, found, decision.chosen),
        chosen_in_full=_curves(trials_in_full, decision.chosen),
        in_full=Markup(packed_json(trials_in_full)),
        plotly=Markup(packed_plotly()),
        without_images=command("src.report", override("study", found.name), "examples=0"),
    )


def _curves(trials_in_full: Any, chosen: FrozenTrial | None) -> dict[str, Any]:
    """Return the curves of the trial to train with, which the page shows at once."""
    told = {} if chosen is None else trials_in_full["trials"][chosen.number]
    return {name: told[name] for name in ("curves", "losses") if name in told}


def _interval(found: Summary, decision: Decision) -> tuple[float, float, float] | None:
    """Return low end, mean and high end of the gain: the surest that there is."""
    for one in decision.confirmations:
        if not one.other_data:
            return one.winner.low, one.winner.gain, one.winner.high
    gain = found.gain if found.in_full is None else found.in_full.gain
    return (gain.low, gain.mean, gain.high) if gain else None


def _plots(study: optuna.Study, found: Summary, mistakes: Mistakes | None) -> list[Plot]:
    plots: list[Plot] = []

    def add(name: str, figure: go.Figure | None) -> None:
        if figure is not None:
            plots.append(Plot(name, figure))

    if found.front:
        add("pareto", progress.pareto(study, found))
    add("folds", folds.spread_over_folds(found))
    if found.ranked or any(trial.intermediate_values for trial in found.pruned):
        add("history", progress.history(study, found))
    unfinished = [*found.running, *found.lost]
    if any(t.intermediate_values for t in [*found.ranked, *found.pruned, *unfinished]):
        add("curves", progress.learning_curves(found))
    if found.importances:
        add("importances", parameters.importance_bars(found.importances))
    if found.groups:
        add("contour", parameters.contour(found, found.groups[0]))
    if mistakes is not None:
        add("confusion", confusion.confusion_matrix(mistakes))
    if found.runs:
        add("timeline", progress.timeline(found))
    return plots


def _group_plots(found: Summary) -> list[GroupPlots]:
    """Draw each group of trials; the first few, the best first."""
    several = len(found.groups) > 1
    drawn = []
    for number, group in enumerate(found.groups[:MOST_GROUPS], 1):
        place = f"-{number}" if several else ""
        bars = parallel = None
        if several and group.importances:
            figure = parameters.importance_bars(group.importances)
            bars = Plot(f"importances{place}", figure)
        # A single group has the axes of all trials, above their table.
        lines = parameters.parallel_coordinates(group) if several else None
        if lines is not None:
            parallel = Plot(f"parallel{place}", lines)
        left_out = parameters.constant(group) if parallel else []
        drawn.append(GroupPlots(group, bars, parallel, [short(name) for name in left_out]))
    return drawn


def _failures(found: Summary) -> list[tuple[str, int, str]]:
    """Return reasons, the most frequent first, with their count and the first few trials."""
    return [
        (
            reason,
            len(numbers),
            ", ".join(map(str, numbers[:NAMED])) + (", ..." if len(numbers) > NAMED else ""),
        )
        for reason, numbers in found.failure_reasons
    ]


def _facts(study: optuna.Study) -> dict[str, str]:
    """Return what the run was: command, settings, and what its trials ran on."""
    facts = {"command": without_passwords(str(study.user_attrs.get("command", "unknown")))}
    settings = study.user_attrs.get("settings", {})
    for key, value in settings.items():
        # Nothing but the built-in documents is drawn in numbers.
        unused = key == "data.n_images" and settings.get("data") != "documents"
        if value is not None and not unused:
            facts[key] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    length = study.user_attrs.get(LENGTH)
    if length is not None:
        # What `quick_validation.min_steps` has made of it.
        facts[EPOCHS] = str(length["epochs"])
    seen: dict[str, dict[str, None]] = {}
    for trial in study.get_trials(deepcopy=False):
        environment: dict[str, Any] = trial.user_attrs.get("environment") or {}
        for key, value in environment.items():
            seen.setdefault(key, {})[str(value)] = None
    return {**facts, **{key: "; ".join(values) for key, values in seen.items()}}


def _subject(facts: dict[str, str], trials: Sequence[FrozenTrial]) -> str:
    """Say in a few words what was trained on what, where the study's settings tell."""
    settings = [settings_of(trial.params) for trial in trials]
    models = {str(own[key]) for own in settings for key in ("model", "model.name") if key in own}
    model = counted(len(models), "model") if len(models) > 1 else "".join(models)
    parts = [model or facts.get("model", ""), facts.get("data", "")]
    epochs, folds = (facts.get(key) for key in (EPOCHS, "quick_validation.folds"))
    if SECONDS in facts and folds:
        parts.append(f"{counted(int(folds), 'fold')} in {duration(float(facts[SECONDS]))} a trial")
    elif epochs and folds:
        parts.append(f"{counted(int(folds), 'fold')} of {counted(int(epochs), 'epoch')}")
    return " · ".join(part for part in parts if part)
