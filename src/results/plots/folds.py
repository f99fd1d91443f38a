"""How far the folds of the best trials lie apart."""

import statistics
from typing import Any

import plotly.graph_objects as go
from optuna.trial import FrozenTrial

from src.results.plots.style import COMPLETE, MUTED, finish
from src.results.summary import Summary


def spread_over_folds(found: Summary) -> go.Figure | None:
    """Each fold's score, their mean and standard deviation; the best on top, the defaults last."""
    trials = [trial for trial in found.top if len(_folds(trial)) > 1]
    defaults = found.defaults
    if defaults is not None and defaults not in trials and len(_folds(defaults)) > 1:
        trials.append(defaults)
    if not trials:
        return None
    names = [f"trial {trial.number}{', defaults' if trial is defaults else ''}" for trial in trials]
    figure = go.Figure()
    figure.add_scatter(
        x=[fold for trial in trials for fold in _folds(trial)],
        y=[name for name, trial in zip(names, trials, strict=True) for _ in _folds(trial)],
        customdata=[trial.number for trial in trials for _ in _folds(trial)],
        mode="markers",
        name="a fold",
        hovertemplate="%{x:.4f}<extra>a fold</extra>",
        marker={"symbol": "line-ns", "size": 10, "line": {"width": 1.5, "color": MUTED}},
    )
    figure.add_scatter(
        x=[round(statistics.fmean(_folds(trial)), 5) for trial in trials],
        y=names,
        error_x={
            "array": [round(statistics.stdev(_folds(trial)), 5) for trial in trials],
            "thickness": 1.5,
            "width": 4,
        },
        customdata=[trial.number for trial in trials],
        meta="trials",
        mode="markers",
        name="mean, and standard deviation",
        marker={"size": 9, "color": COMPLETE},
    )
    finish(figure, found.objectives[0], "", 90 + 30 * len(trials))
    # Names that begin with a number would be taken for one.
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    return figure


def _folds(trial: FrozenTrial) -> list[Any]:
    return trial.user_attrs.get("folds") or []
