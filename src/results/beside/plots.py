"""Several studies in one plot each: progress, scores, what mattered, the parameters they share."""

from collections.abc import Sequence
from html import escape
from operator import attrgetter

import plotly.graph_objects as go
from optuna.distributions import CategoricalDistribution
from optuna.study import StudyDirection

from doctune.words import key_of, settings_of, short, show
from src.results.beside.compare import Side
from src.results.plots.axis import in_order
from src.results.plots.style import finish

# The Okabe-Ito palette, which the colour-blind tell apart.
COLOURS = ("#2589C4", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#8C8C8C")
DIGITS = 5
# Points beyond so many are drawn small and faint, and only the best so many are drawn.
MANY_POINTS, MOST_POINTS = 200, 1000


def progress(sides: Sequence[Side]) -> go.Figure:
    """The best score so far over the time that all trials up to there have taken together."""
    figure = go.Figure()
    for side, colour in zip(sides, COLOURS, strict=False):
        lower = side.stored.study.directions[0] == StudyDirection.MINIMIZE
        hours: list[float] = []
        best: list[float] = []
        numbers: list[int] = []
        spent = 0.0
        ended = [t for t in side.stored.study.get_trials(deepcopy=False) if t.datetime_complete]
        for trial in sorted(ended, key=attrgetter("datetime_complete")):
            spent += trial.duration.total_seconds() / 3600 if trial.duration else 0
            if trial.values is None:
                continue
            value = trial.values[0]
            if not best or (value < best[-1] if lower else value > best[-1]):
                hours.append(round(spent, DIGITS))
                best.append(round(value, DIGITS))
                numbers.append(trial.number)
        if hours:
            # Up to where the search has come.
            figure.add_scatter(
                x=[*hours, round(spent, DIGITS)],
                y=[*best, best[-1]],
                customdata=[*numbers, numbers[-1]],
                mode="lines+markers",
                name=escape(side.name),
                line={"color": colour, "shape": "hv", "width": 1.8},
                hovertemplate="%{y:.4f} in trial %{customdata}, after %{x:.2f} h",
            )
    return finish(figure, "hours of trials, all workers together", _score(sides))


def scores(sides: Sequence[Side]) -> go.Figure:
    """The scores of all complete trials, a box a study."""
    figure = go.Figure()
    for side, colour in zip(sides, COLOURS, strict=False):
        figure.add_box(
            x=[round(trial.values[0], DIGITS) for trial in side.found.ranked],
            name=escape(side.name),
            boxpoints="all" if len(side.found.ranked) < 500 else "outliers",
            pointpos=0,
            jitter=0.6,
            marker={"color": colour, "size": 5, "opacity": 0.7},
            line={"width": 1.2},
            customdata=[trial.number for trial in side.found.ranked],
            hovertemplate="%{x:.4f} in trial %{customdata}<extra></extra>",
            orientation="h",
        )
    finish(figure, _score(sides), "", 90 + 80 * len(sides))
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    return figure.update_layout(showlegend=False)


def importances(sides: Sequence[Side]) -> go.Figure | None:
    """How much each parameter mattered in each study; None where too few trials tell."""
    told = [side for side in sides if side.found.importances]
    if not told:
        return None
    keys = list(dict.fromkeys(key for side in told for key in side.found.importances))[::-1]
    figure = go.Figure()
    # The first one on top.
    for side, colour in reversed(list(zip(sides, COLOURS, strict=False))):
        if side.found.importances:
            figure.add_bar(
                x=[side.found.importances.get(key, 0) for key in keys],
                y=[escape(short(key)) for key in keys],
                orientation="h",
                name=escape(side.name),
                marker_color=colour,
                hovertemplate="%{y}: %{x:.1%}",
            )
    finish(figure, "", "", 90 + 26 * len(keys) * len(told))
    figure.update_xaxes(tickformat=".0%", rangemode="tozero")
    figure.update_yaxes(type="category")
    return figure.update_layout(barmode="group", bargap=0.3, legend={"traceorder": "reversed"})


def shared_parameters(sides: Sequence[Side]) -> list[tuple[str, go.Figure]]:
    """The score over each parameter that at least two of the studies have searched."""
    searched = [
        {key_of(name) for trial in side.found.ranked for name in trial.params} for side in sides
    ]
    keys = dict.fromkeys(key for each in searched for key in sorted(each))
    return [(key, _over(sides, key)) for key in keys if sum(key in each for each in searched) > 1]


def _over(sides: Sequence[Side], key: str) -> go.Figure:
    figure = go.Figure()
    distributions = [
        distribution
        for side in sides
        for trial in side.found.ranked
        for name, distribution in trial.distributions.items()
        if key_of(name) == key
    ]
    choices = [d for d in distributions if isinstance(d, CategoricalDistribution)]
    # The largest study first, or its points would hide the others.
    order = sorted(range(len(sides)), key=lambda i: -len(sides[i].found.ranked))
    for i in order:
        side, colour = sides[i], COLOURS[i]
        having = [trial for trial in side.found.ranked if key in settings_of(trial.params)]
        trials, many = having[:MOST_POINTS], len(having) > MANY_POINTS
        values = [settings_of(trial.params)[key] for trial in trials]
        figure.add_scatter(
            x=[escape(show(v)) if choices else float(f"{v:.6g}") for v in values],
            y=[round(trial.values[0], DIGITS) for trial in trials],
            customdata=[trial.number for trial in trials],
            mode="markers",
            name=escape(side.name),
            marker={"color": colour, "size": 4 if many else 6, "opacity": 0.4 if many else 0.75},
            legendrank=i,
            hovertemplate="%{y:.4f} at %{x}, trial %{customdata}",
        )
    finish(figure, short(key), _score(sides), 280)
    if choices:
        listed = list(dict.fromkeys(choice for d in choices for choice in d.choices))
        names = [escape(show(choice)) for choice in in_order(listed)]
        figure.update_xaxes(type="category", categoryorder="array", categoryarray=names)
    elif all(getattr(d, "log", False) for d in distributions):
        figure.update_xaxes(type="log", dtick=1, exponentformat="none")
    return figure


def _score(sides: Sequence[Side]) -> str:
    return sides[0].found.objectives[0]
