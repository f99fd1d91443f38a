"""The report's plots, as plotly figures without colours of text and paper: the page sets those."""

from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go
from optuna.distributions import CategoricalDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from src.results.summary import Summary
from src.results.words import show

# Blue, orange and grey of the Okabe-Ito palette, told apart by the colour-blind as well.
COMPLETE, PRUNED, MUTED = "#0072B2", "#D55E00", "#999999"
# Curves beyond this many would hide each other.
MOST_CURVES = 300


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
    figure.add_scatter(
        x=[t.number for t in pruned],
        y=[last_value(t) for t in pruned],
        text=[hover(t) for t in pruned],
        mode="markers",
        name="pruned",
        marker={"symbol": "x-thin", "size": 8, "line": {"width": 2, "color": PRUNED}},
    )
    figure.add_scatter(
        x=[t.number for t in complete],
        y=[t.values[0] for t in complete],
        text=[hover(t) for t in complete],
        mode="markers",
        name="complete",
        marker={"size": 8, "color": COMPLETE},
    )
    figure.add_scatter(
        x=[t.number for t in complete],
        y=[sign * value for value in best],
        mode="lines",
        name="best so far",
        line={"color": COMPLETE, "width": 1.5, "shape": "hv"},
        hoverinfo="skip",
    )
    return finish(figure, "trial", "score")


def learning_curves(study: Study) -> go.Figure:
    """Reported values over steps, a line a trial; one trace a state keeps thousands fast."""
    figure = go.Figure()
    for state, colour, name in (
        (TrialState.PRUNED, PRUNED, "pruned"),
        (TrialState.COMPLETE, COMPLETE, "complete"),
    ):
        x: list[Any] = []
        y: list[Any] = []
        text: list[Any] = []
        for trial in study.get_trials(deepcopy=False, states=(state,))[-MOST_CURVES:]:
            steps = sorted(trial.intermediate_values)
            x += [*(step + 1 for step in steps), None]
            y += [*(trial.intermediate_values[step] for step in steps), None]
            text += [hover(trial)] * (len(steps) + 1)
        figure.add_scatter(
            x=x,
            y=y,
            text=text,
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 1},
            marker={"size": 3},
            opacity=0.6,
        )
    return finish(figure, "epochs, over all folds", "score estimated so far")


def importance_bars(found: Summary) -> go.Figure:
    """Importances as bars, the largest on top."""
    shares = sorted(found.importances.items(), key=lambda item: item[1])
    figure = go.Figure(
        go.Bar(
            x=[share for _, share in shares],
            y=[escape(key) for key, _ in shares],
            orientation="h",
            marker_color=COMPLETE,
            text=[f"{share:.0%}" for _, share in shares],
            textposition="auto",
        )
    )
    finish(figure, "share of the score's variation", "")
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(automargin=True)
    return figure.update_layout(height=90 + 42 * len(shares))


def slices(found: Summary) -> list[tuple[str, go.Figure]]:
    """Score over each parameter that was searched."""
    keys = dict.fromkeys(key for trial in found.ranked for key in trial.params)
    return [(key, _slice(found.ranked, key)) for key in keys]


def _slice(complete: Sequence[FrozenTrial], key: str) -> go.Figure:
    trials = [trial for trial in complete if key in trial.params]
    distribution = trials[0].distributions[key]
    numeric = not isinstance(distribution, CategoricalDistribution)
    figure = go.Figure(
        go.Scatter(
            x=[t.params[key] if numeric else escape(str(t.params[key])) for t in trials],
            y=[t.values[0] for t in trials],
            text=[hover(t) for t in trials],
            mode="markers",
            marker={
                "size": 8,
                "color": [t.number for t in trials],
                "colorscale": [[0, "#9ecae1"], [1, COMPLETE]],
                "line": {"width": 1, "color": MUTED},
            },
        )
    )
    finish(figure, escape(key), "score")
    if isinstance(distribution, CategoricalDistribution):
        order = [escape(str(choice)) for choice in _sorted(distribution.choices)]
        figure.update_xaxes(type="category", categoryorder="array", categoryarray=order)
    elif getattr(distribution, "log", False):
        figure.update_xaxes(type="log")
    return figure.update_layout(height=260, showlegend=False)


def _sorted(choices: Sequence[Any]) -> list[Any]:
    """Put numbers in order; anything else stays as it was listed."""
    numeric = all(isinstance(choice, (int, float)) for choice in choices)
    return sorted(choices) if numeric else list(choices)


def hover(trial: FrozenTrial) -> str:
    """Write a trial for the mouse, safe to show."""
    params = "".join(f"<br>{escape(k)} = {escape(show(v))}" for k, v in trial.params.items())
    return f"trial {trial.number}{params}"


def last_value(trial: FrozenTrial) -> float:
    """Return the last value that a trial reported."""
    return trial.intermediate_values[max(trial.intermediate_values)]


def finish(figure: go.Figure, x: str, y: str) -> go.Figure:
    """Give a figure the look of the page."""
    shown = "%{y:.4f}<br>%{text}<extra></extra>"
    figure.update_traces(hovertemplate=shown, selector={"type": "scatter"})
    figure.update_xaxes(title=x, zeroline=False)
    figure.update_yaxes(title=y, zeroline=False)
    return figure.update_layout(
        template="none",
        height=340,
        margin={"l": 64, "r": 12, "t": 12, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "y": 1.08, "x": 0},
        font={"family": "system-ui, sans-serif", "size": 13},
    )
