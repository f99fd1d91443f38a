"""The report: one HTML file that opens anywhere, with nothing loaded from the net."""

import datetime
import functools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup
from optuna.trial import FrozenTrial
from plotly.offline import get_plotlyjs

from src.results.confirmation.judge import Confirmation
from src.results.ensemble.result import EnsembleResult
from src.results.mistakes import Mistakes
from src.results.plots import confusion, parameters, progress
from src.results.plots.style import hover
from src.results.summary import Summary
from src.results.verdict import Verdict
from src.results.words import describe_score, duration, score, short, show, without_password

# Trials that are named with a reason for failing.
NAMED = 10
# In advice: a command in quotes, `key=value`, or a key of several parts.
CODE = re.compile(
    r"'(?P<quoted>[^']+=[^']+)'|[a-z]\w*(?:\.\w+)+=(?:[^\s,;]*[^\s,;.])|[a-z]\w*(?:\.[a-z]\w*)+"
)


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
class Plot:
    """A figure and its place on the page."""

    name: str
    figure: go.Figure

    @property
    def height(self) -> int:
        """Return the pixels to keep free until it is drawn."""
        return int(self.figure.layout.height)

    @property
    def min_width(self) -> int:
        """Return the pixels below which it scrolls sideways in its own box."""
        return int((self.figure.layout.meta or {}).get("min_width", 0))

    @property
    def json(self) -> Markup:
        """Return the figure as JSON that cannot end the script it stands in."""
        return _safe(self.figure.to_json())


def render_report(
    study: optuna.Study, found: Summary, decision: Decision, mistakes: Mistakes | None
) -> str:
    """Return the page.

    Args:
        study: finished or not.
        found: its summary.
        decision: what to do now.
        mistakes: of the chosen trial; None where it left no predictions.
    """
    plots = {plot.name: plot for plot in _plots(study, found, mistakes)}
    slices = [
        (key, Plot(f"slice-{i}", figure))
        for i, (key, figure) in enumerate(parameters.slices(found), 1)
    ]
    facts = _facts(study)
    template = _environment().get_template("report.html.j2")
    return template.render(
        found=found,
        decision=decision,
        verdict=decision.verdict,
        mistakes=mistakes,
        top=found.top,
        front=[trial for trial in found.ranked if trial.number in found.front],
        keys=parameters.searched(found.top),
        plots=plots,
        slices=slices,
        drawn=[*plots.values(), *(plot for _, plot in slices)],
        interval=_interval(found, decision),
        hovers=_safe(json.dumps(_hovers(study))),
        failures=_failures(found.failed),
        facts=facts,
        pruning=_pruning(found),
        now=f"{datetime.datetime.now():%Y-%m-%d %H:%M}",
        describe_score=describe_score,
        duration=duration,
        show=show,
        score=score,
        short=short,
        subject=_subject(facts),
        # The library is one constant of our own dependency, not input.
        plotly=Markup(get_plotlyjs()),
    )


def _interval(found: Summary, decision: Decision) -> tuple[float, float, float] | None:
    """Return low end, mean and high end of the gain: the confirmed one, else the search's."""
    for one in decision.confirmations:
        if not one.other_data:
            return one.winner.low, one.winner.gain, one.winner.high
    return (found.gain.low, found.gain.mean, found.gain.high) if found.gain else None


def _plots(study: optuna.Study, found: Summary, mistakes: Mistakes | None) -> list[Plot]:
    plots: list[Plot] = []

    def add(name: str, figure: go.Figure | None) -> None:
        if figure is not None:
            plots.append(Plot(name, figure))

    if found.front:
        add("pareto", progress.pareto(study, found))
    if found.ranked or any(trial.intermediate_values for trial in found.pruned):
        add("history", progress.history(study, found))
    if any(t.intermediate_values for t in [*found.ranked, *found.pruned, *found.running]):
        add("curves", progress.learning_curves(found))
    if found.importances:
        add("importances", parameters.importance_bars(found))
        add("contour", parameters.contour(found))
    add("parallel", parameters.parallel_coordinates(found))
    if mistakes is not None:
        add("confusion", confusion.confusion_matrix(mistakes))
    if any(t.datetime_start for t in [*found.ranked, *found.pruned, *found.failed, *found.running]):
        add("timeline", progress.timeline(found))
    return plots


def _safe(text: str) -> Markup:
    for char, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(char, code)
    return Markup(text)


def _hovers(study: optuna.Study) -> list[str]:
    """Return a text for each trial by number, once for all plots."""
    return [hover(trial) for trial in study.get_trials(deepcopy=False)]


def _failures(failed: Sequence[FrozenTrial]) -> list[tuple[str, int, str]]:
    """Return reasons, the most frequent first, with their count and the first few trials."""
    numbers: dict[str, list[str]] = {}
    for trial in failed:
        reason = without_password(str(trial.user_attrs.get("error", "unknown")))
        numbers.setdefault(reason, []).append(str(trial.number))
    return [
        (reason, len(found), ", ".join(found[:NAMED]) + (", ..." if len(found) > NAMED else ""))
        for reason, found in sorted(numbers.items(), key=lambda item: -len(item[1]))
    ]


def _pruning(found: Summary) -> str:
    """Say what ending trials early has saved."""
    saved = found.epochs_without_pruning - found.epochs
    if not found.pruned or saved <= 0:
        return ""
    timed = [t for t in found.ranked if t.duration and t.intermediate_values]
    epochs = sum(len(t.intermediate_values) for t in timed)
    count = len(found.pruned)
    words = (
        f"{'1 trial was' if count == 1 else f'{count} trials were'} ended early, which saved "
        f"{saved} of {found.epochs_without_pruning} epochs ({found.saved_share:.0%})"
    )
    if not epochs:
        return f"{words}."
    seconds = sum(t.duration.total_seconds() for t in timed if t.duration)
    return f"{words}, about {duration(saved * seconds / epochs)} of one worker's time."


def _facts(study: optuna.Study) -> dict[str, str]:
    """Return what the run was: command, settings, and what its trials ran on."""
    facts = {"command": without_password(str(study.user_attrs.get("command", "unknown")))}
    settings = study.user_attrs.get("settings", {})
    for key, value in settings.items():
        # Nothing but the built-in documents is drawn in numbers.
        unused = key == "data.n_images" and settings.get("data") != "documents"
        if value is not None and not unused:
            facts[key] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    seen: dict[str, dict[str, None]] = {}
    for trial in study.get_trials(deepcopy=False):
        environment: dict[str, Any] = trial.user_attrs.get("environment") or {}
        for key, value in environment.items():
            seen.setdefault(key, {})[str(value)] = None
    return {**facts, **{key: "; ".join(values) for key, values in seen.items()}}


def _subject(facts: dict[str, str]) -> str:
    """Say in a few words what was trained on what, where the study's settings tell."""
    parts = [facts.get("model", ""), facts.get("data", "")]
    epochs, folds = (facts.get(f"quick_validation.{key}") for key in ("epochs", "folds"))
    if epochs and folds:
        parts.append(f"{folds} folds of {epochs} epochs")
    return " · ".join(part for part in parts if part)


def with_code(text: str) -> Markup:
    """Return a text safe for the page, its keys, values and commands set as code."""
    found = Markup("")
    rest = 0
    for match in CODE.finditer(text):
        found += text[rest : match.start()]
        found += Markup("<code>{}</code>").format(match["quoted"] or match[0])
        rest = match.end()
    return found + text[rest:]


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("src.results"),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["with_code"] = with_code
    return environment
