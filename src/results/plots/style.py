"""The look that all plots share; colours of text, paper and lines are set by the page."""

from html import escape
from typing import Any

import plotly.graph_objects as go
from optuna.trial import FrozenTrial

# Near the Okabe-Ito palette, which the colour-blind tell apart; the blue is lighter, for black.
COMPLETE, PRUNED, FAILED, RUNNING, MUTED = "#2589C4", "#D55E00", "#CC79A7", "#009E73", "#8C8C8C"
# From bad to good: readable on white and on black.
SCALE = [[0, "#c9d3dc"], [0.5, "#56B4E9"], [1, "#0072B2"]]

# Whole numbers along an axis that each get a tick; of more Plotly chooses some itself.
FEW = 9


def points(trials: list[FrozenTrial], x: list[Any], y: list[Any], **look: Any) -> go.Scatter:
    """Return marks whose hover text the page looks up by the trial's number."""
    numbers = [trial.number for trial in trials]
    return go.Scatter(x=x, y=y, customdata=numbers, mode="markers", meta="trials", **look)


def finish(
    figure: go.Figure, x: str, y: str, height: int = 340, counted_to: int | None = None
) -> go.Figure:
    """Give a figure the look of the page.

    Args:
        figure: with all that it shows.
        x, y: titles of the axes.
        height: in pixels.
        counted_to: the last of whole numbers along `x`, which has no ticks between two of them.
    """
    figure.update_xaxes(title=escape(x), zeroline=False)
    if counted_to is not None and counted_to < FEW:
        figure.update_xaxes(dtick=1)
    figure.update_yaxes(title=escape(y), zeroline=False, automargin=True)
    return figure.update_layout(
        template="none",
        height=height,
        margin={"l": 60, "r": 12, "t": 12, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        font={"family": "system-ui, sans-serif", "size": 13},
        hoverlabel={"align": "left"},
    )
