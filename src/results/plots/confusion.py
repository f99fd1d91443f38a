"""The confusion matrix of a trial's out-of-fold predictions."""

from html import escape

import numpy as np
import plotly.graph_objects as go

from src.results.mistakes import Mistakes
from src.results.plots.style import finish

# Numbers in the cells are readable up to this many classes.
MOST_WITH_NUMBERS = 16


def confusion_matrix(found: Mistakes) -> go.Figure:
    """Counts in the cells, colours by the share of the true class."""
    names = [escape(name) for name in found.classes]
    shares = found.confusion / np.maximum(found.confusion.sum(1, keepdims=True), 1)
    figure = go.Figure(
        go.Heatmap(
            z=shares.round(4).tolist(),
            x=names,
            y=names,
            text=[[str(count or "") for count in row] for row in found.confusion.tolist()],
            texttemplate="%{text}" if len(names) <= MOST_WITH_NUMBERS else None,
            hovertemplate="%{y} taken for %{x}: %{text} (%{z:.1%})<extra></extra>",
            # The page sets the colours, from its own paper to blue.
            meta="shares",
            showscale=False,
            xgap=1,
            ygap=1,
        )
    )
    finish(figure, "predicted", "true", 130 + 30 * min(len(names), 30))
    figure.update_xaxes(tickangle=-45, automargin=True, showgrid=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure
