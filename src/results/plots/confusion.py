"""The confusion matrix of a trial's out-of-fold predictions."""

from html import escape

import numpy as np
import plotly.graph_objects as go

from src.results.confusions import MOST_CLASSES, Mistakes
from src.results.plots.style import finish

# Numbers in the cells are readable up to this many classes.
MOST_WITH_NUMBERS = 16
# Pixels of a cell; of many classes each still has room for its name.
CELL, LEAST_CELL = 30, 15
# Pixels that a character of a name takes at most, and the characters that are written of one.
CHARACTER, MOST_CHARACTERS = 6.6, 44


def confusion_matrix(found: Mistakes) -> go.Figure:
    """Counts in the cells, colours by the share of the true class.

    Of more than `MOST_CLASSES` classes those that are confused most.
    """
    shown = found.most_confused(MOST_CLASSES)
    counts = found.confusion[np.ix_(shown, shown)]
    shares = counts / np.maximum(found.confusion.sum(1)[shown, None], 1)
    whole = [escape(found.classes[i]) for i in shown]
    names = [escape(_shortened(found.classes[i])) for i in shown]
    places = list(range(len(names)))
    many = len(names) > MOST_WITH_NUMBERS
    figure = go.Figure(
        go.Heatmap(
            # Places, not names: plotly would take names such as 7 or 2024-01 for numbers and dates.
            x=places,
            y=places,
            z=shares.round(4).tolist(),
            text=[[str(count or "") for count in row] for row in counts.tolist()],
            texttemplate=None if many else "%{text}",
            # The page looks the names up by their places.
            meta={"kind": "shares", "names": whole},
            showscale=False,
            xgap=1,
            ygap=1,
        )
    )
    cell = max(LEAST_CELL, min(CELL, 900 // max(1, len(names))))
    labels = round(CHARACTER * max((len(_shortened(found.classes[i])) for i in shown), default=0))
    along = labels if many else round(0.75 * labels)
    finish(figure, "predicted", "true", 70 + along + cell * len(names))
    ticks = {"tickmode": "array", "tickvals": places, "ticktext": names, "showgrid": False}
    ends = (-0.5, len(names) - 0.5)
    figure.update_xaxes(**ticks, type="linear", range=ends, tickangle=-90 if many else -45)
    figure.update_yaxes(**ticks, type="linear", range=ends[::-1], automargin=False)
    figure.update_xaxes(title_standoff=8)
    return figure.update_layout(
        margin={"l": labels + 44, "b": along + 48},
        font_size=11 if many else 13,
        meta={"min_width": labels + 44 + 12 + cell * len(names)},
    )


def _shortened(name: str) -> str:
    """Leave out the middle of a very long name; its ends tell classes apart."""
    if len(name) <= MOST_CHARACTERS:
        return name
    half = MOST_CHARACTERS // 2
    return f"{name[:half]}…{name[1 - half :]}"
