"""The report: one HTML file that opens anywhere, with nothing loaded from the net."""

import functools
import platform
from importlib.metadata import PackageNotFoundError, version

import optuna
import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from src.results import plots
from src.results.summary import Summary
from src.results.words import describe_score, show

TOP = 10
PACKAGES = ("torch", "timm", "pytorch-lightning", "optuna", "hydra-core")


def render_report(study: optuna.Study, found: Summary, command: str | None) -> str:
    """Return the page.

    Args:
        study: finished or not.
        found: its summary.
        command: what trains with the best parameters; None without a complete trial.
    """
    figures: list[tuple[str, str, go.Figure]] = []
    if found.ranked or found.pruned:
        figures.append(("history", "History", plots.history(study, found)))
        figures.append(("curves", "Learning curves", plots.learning_curves(study)))
    if found.importances:
        figures.append(("importances", "What mattered", plots.importance_bars(found)))
    template = _environment().get_template("report.html.j2")
    return template.render(
        found=found,
        command=command,
        describe_score=describe_score,
        show=show,
        top=found.ranked[:TOP],
        keys=list(dict.fromkeys(key for trial in found.ranked[:TOP] for key in trial.params)),
        figures=[(name, title, _json(figure)) for name, title, figure in figures],
        slices=[(key, _json(figure)) for key, figure in plots.slices(found)],
        facts=_facts(study),
        # The library is one constant of our own dependency, not input.
        plotly=Markup(get_plotlyjs()),
    )


def _json(figure: go.Figure) -> Markup:
    """Return a figure as JSON that cannot end the script it stands in."""
    text: str = figure.to_json()
    for char, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(char, code)
    return Markup(text)


def _facts(study: optuna.Study) -> dict[str, str]:
    """Return what the run was: command, settings, versions."""
    facts = {"command": str(study.user_attrs.get("command", "unknown"))}
    for key, value in study.user_attrs.get("settings", {}).items():
        if value is not None:
            facts[key] = str(value)
    facts["python"] = f"{platform.python_version()} on {platform.system()}"
    for name in PACKAGES:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            continue
    return facts


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("src.results"),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
