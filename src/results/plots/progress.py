"""How the search went: history, learning curves, the workers' timeline, the Pareto front."""

import datetime
from typing import Any

import plotly.graph_objects as go
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from src.results.plots.style import (
    COMPLETE,
    FAILED,
    MUTED,
    PRUNED,
    RUNNING,
    finish,
    points,
)
from src.results.summary import Summary

# Reported values are read to this many digits; more would only make the page larger.
DIGITS = 5


def history(study: Study, found: Summary) -> go.Figure:
    """Score over trials, the best so far as a line, pruned ones at their last estimate."""
    sign = 1 if study.directions[0] == StudyDirection.MAXIMIZE else -1
    complete = sorted(found.ranked, key=lambda trial: trial.number)
    best: list[float] = []
    for trial in complete:
        value = sign * trial.values[0]
        best.append(max(value, best[-1]) if best else value)
    pruned = [trial for trial in found.pruned if trial.intermediate_values]
    figure = go.Figure()
    figure.add_trace(
        points(
            pruned,
            [t.number for t in pruned],
            [round(last_value(t), DIGITS) for t in pruned],
            name="pruned, at its last estimate",
            marker={"symbol": "x-thin", "size": 7, "line": {"width": 1.5, "color": PRUNED}},
        )
    )
    figure.add_trace(
        points(
            complete,
            [t.number for t in complete],
            [round(t.values[0], DIGITS) for t in complete],
            name="complete",
            marker={"size": 7, "color": COMPLETE},
        )
    )
    figure.add_scatter(
        x=[t.number for t in complete],
        y=[round(sign * value, DIGITS) for value in best],
        mode="lines",
        name="best so far",
        line={"color": COMPLETE, "width": 1.5, "shape": "hv"},
        hoverinfo="skip",
    )
    if found.defaults is not None:
        figure.add_scatter(
            x=[0, max(t.number for t in [*complete, *pruned])],
            y=[round(found.defaults.values[0], DIGITS)] * 2,
            mode="lines",
            name="the defaults",
            line={"color": MUTED, "width": 1.2, "dash": "dot"},
            hoverinfo="skip",
        )
    return finish(figure, "trial", found.objectives[0])


def learning_curves(found: Summary) -> go.Figure:
    """Reported values over steps; one trace a state keeps thousands of trials fast.

    The defaults and the best trial stand out.
    """
    figure = go.Figure()
    kinds = (
        (found.pruned, PRUNED, "pruned"),
        (found.running, RUNNING, "running"),
        (found.ranked, COMPLETE, "complete"),
    )
    for trials, colour, name in kinds:
        if not any(trial.intermediate_values for trial in trials):
            continue
        # Thin and faint where there are many; the legend shows the full colour.
        look = {"mode": "lines", "legendgroup": name, "line": {"color": colour, "width": 1.2}}
        faint = max(0.15, min(0.7, 12 / len(trials)))
        figure.add_scatter(**_curves(trials), **look, opacity=faint, showlegend=False)
        figure.add_scatter(x=[None], y=[None], **look, name=name)
    ended = [trial for trial in found.pruned if trial.intermediate_values]
    if ended:
        figure.add_trace(
            points(
                ended,
                [max(t.intermediate_values) + 1 for t in ended],
                [round(last_value(t), DIGITS) for t in ended],
                showlegend=False,
                legendgroup="pruned",
                marker={"symbol": "x-thin", "size": 6, "line": {"width": 1.5, "color": PRUNED}},
            )
        )
    for trial, name, line in (
        (found.defaults, "the defaults", {"color": MUTED, "width": 2, "dash": "dot"}),
        (found.best, "the best", {"color": COMPLETE, "width": 3}),
    ):
        if trial is not None and trial.intermediate_values:
            numbered = f"{name}, trial {trial.number}"
            figure.add_scatter(**_curves([trial]), mode="lines", name=numbered, line=line)
    return finish(figure, "epochs, over all folds", f"{found.objectives[0]} estimated so far", 380)


def _curves(trials: list[FrozenTrial]) -> dict[str, Any]:
    """Return curves in one trace, with gaps between."""
    x: list[Any] = []
    y: list[Any] = []
    numbers: list[Any] = []
    for trial in trials:
        steps = sorted(trial.intermediate_values)
        x += [*(step + 1 for step in steps), None]
        y += [*(round(trial.intermediate_values[step], DIGITS) for step in steps), None]
        numbers += [trial.number] * (len(steps) + 1)
    return {"x": x, "y": y, "customdata": numbers, "meta": "trials"}


def timeline(found: Summary) -> go.Figure:
    """What each worker did when; gaps are time that was lost."""
    figure = go.Figure()
    kinds = (
        (found.ranked, COMPLETE, "complete"),
        (found.pruned, PRUNED, "pruned"),
        (found.failed, FAILED, "failed"),
        (found.running, RUNNING, "running"),
    )
    workers: set[str] = set()
    for trials, colour, name in kinds:
        begun = [trial for trial in trials if trial.datetime_start]
        if not begun:
            continue
        places = [worker(trial) for trial in begun]
        workers.update(places)
        figure.add_bar(
            y=places,
            base=[trial.datetime_start.isoformat() for trial in begun],  # type: ignore[union-attr]
            x=[round(1000 * _seconds(trial)) for trial in begun],
            customdata=[trial.number for trial in begun],
            meta="trials",
            orientation="h",
            name=name,
            marker={"color": colour, "line": {"width": 0.5, "color": "rgba(255,255,255,.5)"}},
        )
    finish(figure, "", "", 110 + 34 * max(1, len(workers)))
    figure.update_xaxes(type="date")
    figure.update_yaxes(type="category", categoryorder="category descending")
    return figure.update_layout(barmode="overlay", bargap=0.25, margin={"b": 36})


def pareto(study: Study, found: Summary) -> go.Figure:
    """The first two objectives of all complete trials, those that no other beats in front."""
    front = set(found.front)
    others = [trial for trial in found.ranked if trial.number not in front]
    first = [trial for trial in found.ranked if trial.number in front]
    first.sort(key=lambda trial: trial.values[1])
    figure = go.Figure()
    for trials, look in (
        (others, {"name": "beaten by another", "marker": {"size": 7, "color": MUTED}}),
        (first, {"name": "Pareto front", "marker": {"size": 9, "color": COMPLETE}}),
    ):
        figure.add_trace(
            points(trials, [t.values[1] for t in trials], [t.values[0] for t in trials], **look)
        )
    figure.add_scatter(
        x=[t.values[1] for t in first],
        y=[t.values[0] for t in first],
        mode="lines",
        line={"color": COMPLETE, "width": 1.2, "shape": "hv"},
        hoverinfo="skip",
        showlegend=False,
    )
    return finish(figure, found.objectives[1], found.objectives[0])


def worker(trial: FrozenTrial) -> str:
    """Return where a trial ran."""
    return str(trial.user_attrs.get("worker", "this machine"))


def last_value(trial: FrozenTrial) -> float:
    """Return the last value that a trial reported."""
    return trial.intermediate_values[max(trial.intermediate_values)]


def _seconds(trial: FrozenTrial) -> float:
    assert trial.datetime_start is not None
    end = trial.datetime_complete or datetime.datetime.now()
    return max(0.05, (end - trial.datetime_start).total_seconds())
