"""How the score depends on the parameters: importances, slices, contour, parallel coordinates."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from optuna.trial import FrozenTrial
from scipy.spatial.distance import cdist

from doctune.words import key_of, short
from src.results.importances import Group
from src.results.plots.axis import Axis
from src.results.plots.style import COMPLETE, MUTED, SCALE, finish, points
from src.results.summary import Summary

# A surface through fewer points would be invented.
ENOUGH_FOR_CONTOUR = 8
GRID = 40
# Each place of the surface is smoothed as far as its fourth nearest trial.
NEIGHBOURS = 4
# Beyond this many, points are drawn small and faint.
MANY_POINTS = 200
# Lines beyond this many hide each other; the best are kept.
MOST_LINES = 500
SHADES = (
    ("best tenth", COMPLETE, 1.8),
    ("best half", "rgba(86,180,233,0.55)", 1),
    ("the others", "rgba(153,153,153,0.3)", 1),
)


def importance_bars(importances: Mapping[str, float]) -> go.Figure:
    """Importances as bars, the largest on top."""
    shares = sorted(importances.items(), key=lambda item: item[1])
    figure = go.Figure(
        go.Bar(
            x=[share for _, share in shares],
            # Whose a parameter is, stands above.
            y=[escape(short(key_of(name))) for name, _ in shares],
            orientation="h",
            marker_color=COMPLETE,
            text=[f"{share:.0%}" for _, share in shares],
            textposition="auto",
            hovertemplate="%{y}: %{x:.1%}<extra></extra>",
        )
    )
    finish(figure, "", "", 60 + 36 * len(shares))
    figure.update_xaxes(tickformat=".0%", range=[0, max(0.01, *importances.values()) * 1.08])
    figure.update_yaxes(type="category")
    return figure.update_layout(margin={"b": 32})


def slices(found: Summary) -> list[tuple[str, go.Figure]]:
    """Score over each parameter that was searched, the important ones first, on one scale."""
    keys = searched(found.ranked)
    shares = {name: share for group in found.groups for name, share in group.importances.items()}
    order = {key: place for place, key in enumerate(found.importances)}
    keys.sort(key=lambda name: (order.get(key_of(name), len(order)), -shares.get(name, 0.0)))
    return [(key, _slice(found, key)) for key in keys]


def _scale(found: Summary) -> list[float]:
    """Return a range that holds the scores of all complete trials."""
    scores = [t.values[0] for t in found.ranked if math.isfinite(t.values[0])]
    low, high = min(scores, default=0.0), max(scores, default=1.0)
    room = 0.06 * (high - low) or max(0.01, 0.05 * abs(high))
    return [round(low - room, 6), round(high + room, 6)]


def _slice(found: Summary, key: str) -> go.Figure:
    trials = [trial for trial in found.ranked if key in trial.params]
    axis = Axis(key, trials)
    figure = go.Figure(
        points(
            trials,
            [axis.shown(t) for t in trials],
            [round(t.values[0], 5) for t in trials],
            marker={
                "size": 7 if len(trials) < MANY_POINTS else 5,
                "opacity": 1 if len(trials) < MANY_POINTS else 0.6,
                "color": [t.number for t in trials],
                "colorscale": SCALE,
                "line": {"width": 0.5, "color": MUTED},
            },
        )
    )
    finish(figure, short(key), found.objectives[0], 260)
    figure.update_xaxes(axis.layout(), automargin=True)
    figure.update_yaxes(range=_scale(found))
    return figure.update_layout(showlegend=False)


def contour(found: Summary, group: Group) -> go.Figure | None:
    """The score over the two parameters that matter most in a group; None where there are not two.

    The better, the stronger the colour.

    The surface is a mean of all trials, weighted by a Gaussian of their distance whose width is
    the distance to the fourth nearest (Nadaraya & Watson 1964).
    """
    keys, trials = list(group.importances)[:2], group.trials
    if len(keys) < 2 or len(trials) < ENOUGH_FOR_CONTOUR:
        return None
    axes = [Axis(key, trials) for key in keys]
    places = np.array([[axis.place(trial) for axis in axes] for trial in trials])
    scores = np.array([trial.values[0] for trial in trials])
    figure = go.Figure(_surface(places, scores, found.maximize))
    figure.add_trace(
        points(
            trials,
            places[:, 0].round(4).tolist(),
            places[:, 1].round(4).tolist(),
            marker={
                "size": 6 if len(trials) < MANY_POINTS else 3,
                "color": "#ffffff",
                "opacity": 1 if len(trials) < MANY_POINTS else 0.6,
                "line": {"width": 1 if len(trials) < MANY_POINTS else 0, "color": "#1c2024"},
            },
        )
    )
    finish(figure, short(key_of(keys[0])), short(key_of(keys[1])), 420)
    for update, axis in ((figure.update_xaxes, axes[0]), (figure.update_yaxes, axes[1])):
        places_of_ticks, texts = axis.ticks()
        update(tickvals=places_of_ticks, ticktext=texts, range=[-0.02, 1.02], showgrid=False)
    return figure.update_layout(showlegend=False)


def _surface(
    places: npt.NDArray[np.float64], scores: npt.NDArray[np.float64], maximize: bool
) -> go.Contour:
    """Return the surface through scores [trials] at places [trials, 2] of the unit square."""
    line = np.linspace(0, 1, GRID)
    grid = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    surface = _smoothed(cdist(grid, places), scores).reshape(GRID, GRID)
    return go.Contour(
        x=line.round(4).tolist(),
        y=line.round(4).tolist(),
        z=surface.round(5).tolist(),
        colorscale=SCALE,
        reversescale=not maximize,
        contours={"showlines": False},
        ncontours=24,
        hoverinfo="skip",
        colorbar={"thickness": 12, "outlinewidth": 0},
    )


def _smoothed(
    distances: npt.NDArray[np.float64], scores: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return a score at each place, from distances [places, trials] and scores [trials]."""
    width = np.sort(distances, axis=1)[:, min(NEIGHBOURS, distances.shape[1]) - 1]
    weights = np.exp(-0.5 * (distances / np.maximum(width, 1e-3)[:, None]) ** 2)
    found: npt.NDArray[np.float64] = weights @ scores / weights.sum(1)
    return found


def parallel_coordinates(group: Group) -> go.Figure | None:
    """Every trial of a group as a line across its parameters, the best ones on top and darkest.

    Those that are `constant` in the group have no axis. Drawn as plain lines in a few shades:
    plotly's own kind needs WebGL, which many phones and remote desktops lack.
    """
    trials = group.trials[:MOST_LINES]
    equal = constant(group)
    keys = [key for key in searched(trials) if key not in equal]
    if len(trials) < 2 or len(keys) < 2:
        return None
    keys.sort(key=lambda key: -group.importances.get(key, 0))
    axes = [Axis(key, trials) for key in keys]
    figure = go.Figure()
    for shade, part in reversed(list(enumerate(_groups(trials)))):
        name, colour, width = SHADES[shade]
        look = {"color": colour, "width": width}
        figure.add_scatter(**_lines(part, axes), mode="lines", name=name, line=look)
    finish(figure, "", "", 420)
    for i, axis in enumerate(axes):
        places, texts = axis.ticks()
        for place, text in zip(places, texts, strict=True):
            figure.add_annotation(
                x=i, y=place, text=text, xanchor="left", xshift=3, showarrow=False, font_size=11
            )
    names = [short(key_of(key)) for key in keys]
    figure.update_xaxes(
        tickvals=list(range(len(axes))),
        ticktext=[escape(name) for name in names],
        side="top",
        tickangle=0,
        range=[-0.1, len(axes) - 0.4],
    )
    figure.update_yaxes(visible=False, range=[-0.04, 1.04])
    # Axes side by side need room; on a phone the plot scrolls in its own box.
    return figure.update_layout(
        margin={"l": 12, "r": 12, "t": 64, "b": 12},
        legend={"y": 1.1, "traceorder": "reversed"},
        meta={"min_width": sum(max(90, 20 + 8 * len(name)) for name in names)},
    )


def _lines(trials: Sequence[FrozenTrial], axes: Sequence[Axis]) -> dict[str, Any]:
    """Return a line across the axes for each trial, in one trace with gaps between."""
    x: list[Any] = []
    y: list[Any] = []
    numbers: list[Any] = []
    for trial in trials:
        x += [*range(len(axes)), None]
        y += [*(round(axis.place(trial), 4) for axis in axes), None]
        numbers += [trial.number] * (len(axes) + 1)
    return {"x": x, "y": y, "customdata": numbers, "meta": "trials"}


def _groups(ranked: Sequence[FrozenTrial]) -> list[Sequence[FrozenTrial]]:
    """Cut ranked trials into the best tenth, the rest of the best half, and the other half."""
    tenth, half = max(1, len(ranked) // 10), max(1, len(ranked) // 2)
    return [ranked[:tenth], ranked[tenth:half], ranked[half:]]


def constant(group: Group) -> list[str]:
    """Return the parameters that are the same in all trials of a group, in order."""
    keys = searched(group.trials)
    return [key for key in keys if len({repr(t.params[key]) for t in group.trials}) == 1]


def searched(trials: Sequence[FrozenTrial]) -> list[str]:
    """Return the parameters of some trials, in order."""
    return list(dict.fromkeys(key for trial in trials for key in trial.params))
