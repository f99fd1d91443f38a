"""How the search went: history, learning curves, the workers' timeline, the Pareto front."""

import bisect
import datetime
import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from src.results.plots.style import COMPLETE, FAILED, MUTED, PRUNED, RUNNING, finish, points
from src.results.summary import Summary
from src.results.time_spent import Span, ended

# Reported values are read to this many digits; more would only make the page larger.
DIGITS = 5
# Between the runs of a search, a share of all their time.
RUNS_APART = 0.02
# Ticks of the workers' clock: seconds between them, how many at most, and the share of the whole
# that the text of one needs.
STEPS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 604800)
MOST_TICKS, TICK_ROOM = 8, 0.11


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
    last = max((t.number for t in [*complete, *pruned]), default=0)
    if found.defaults is not None:
        figure.add_scatter(
            x=[0, last],
            y=[round(found.defaults.values[0], DIGITS)] * 2,
            mode="lines",
            name="the defaults",
            line={"color": MUTED, "width": 1.2, "dash": "dot"},
            hoverinfo="skip",
        )
    return finish(figure, "trial", found.objectives[0], counted_to=last)


def learning_curves(found: Summary) -> go.Figure:
    """Reported values over steps; one trace a state keeps thousands of trials fast.

    The defaults and the best trial stand out.
    """
    figure = go.Figure()
    kinds = (
        (found.pruned, PRUNED, "pruned"),
        (found.running, RUNNING, "running"),
        (found.lost, MUTED, "cut off"),
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
    shown = [t for trials, *_ in kinds for t in trials if t.intermediate_values]
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
    steps = "equal shares of a trial's time" if found.equal_seconds else "epochs"
    return finish(
        figure,
        f"{steps}, over all folds",
        f"{found.objectives[0]} estimated so far",
        380,
        counted_to=max((max(t.intermediate_values) + 1 for t in shown), default=0),
    )


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
    """What each worker did when; the pauses between the runs of a search are cut out."""
    figure = go.Figure()
    kinds = (
        (found.ranked, COMPLETE, "complete"),
        (found.pruned, PRUNED, "pruned"),
        (found.failed, FAILED, "failed"),
        (found.running, RUNNING, "running"),
        ([*found.lost, *found.interrupted], MUTED, "cut off"),
    )
    alive = {trial.number for trial in found.running}
    clock = _Clock(found.runs)
    workers: set[str] = set()
    for trials, colour, name in kinds:
        begun = [trial for trial in trials if trial.datetime_start]
        if not begun:
            continue
        places = [worker(trial) for trial in begun]
        workers.update(places)
        starts = [clock.place(t.datetime_start) for t in begun]  # type: ignore[arg-type]
        ends = [clock.place(ended(t, t.number in alive)) for t in begun]
        figure.add_bar(
            y=places,
            base=[round(start, 2) for start in starts],
            x=[round(max(0.05, b - a), 2) for a, b in zip(starts, ends, strict=True)],
            customdata=[trial.number for trial in begun],
            meta="trials",
            orientation="h",
            name=name,
            marker={"color": colour, "line": {"width": 0.5, "color": "rgba(255,255,255,.5)"}},
        )
    finish(figure, "", "", 110 + 34 * max(1, len(workers)))
    places_of_ticks, texts = clock.ticks()
    figure.update_xaxes(
        tickvals=places_of_ticks, ticktext=texts, tickangle=0, range=[0, clock.length]
    )
    figure.update_yaxes(type="category", categoryorder="category descending")
    for cut in clock.cuts:
        figure.add_vline(x=cut, line={"color": MUTED, "width": 1.5, "dash": "dot"})
    return figure.update_layout(
        barmode="overlay", bargap=0.25, margin={"b": 48}, meta={"min_width": 560}
    )


class _Clock:
    """Seconds of searching, from the start of the first run, without the pauses between runs."""

    def __init__(self, runs: Sequence[Span]) -> None:
        self._runs = runs
        searched = sum(run.seconds for run in runs)
        space = RUNS_APART * searched
        self._begin = []
        begin = 0.0
        for run in runs:
            self._begin.append(begin)
            begin += run.seconds + space
        self.length = max(1.0, searched + space * (len(runs) - 1))
        # Between the runs.
        self.cuts = [begin - space / 2 for begin in self._begin[1:]]

    def place(self, moment: datetime.datetime) -> float:
        """Return where a moment lies; one in a pause, at the end of the run before."""
        i = max(0, bisect.bisect_right([run.start for run in self._runs], moment) - 1)
        run = self._runs[i]
        inside = (moment - run.start).total_seconds()
        return self._begin[i] + min(max(0.0, inside), run.seconds)

    def ticks(self) -> tuple[list[float], list[str]]:
        """Return places and times of day, with the date where a run begins or a day does."""
        step = next((step for step in STEPS if self.length / step <= MOST_TICKS), STEPS[-1])
        places: list[float] = []
        texts: list[str] = []
        day = None
        for begin, run in zip(self._begin, self._runs, strict=True):
            midnight = run.start.replace(hour=0, minute=0, second=0, microsecond=0)
            first = math.ceil((run.start - midnight).total_seconds() / step)
            # Enough for the ticks of any run.
            counted = range(first, first + 4 * MOST_TICKS)
            rounds = [midnight + datetime.timedelta(seconds=step * i) for i in counted]
            inside = [moment for moment in rounds if moment <= run.end]
            for moment in [run.start, *inside]:
                place = begin + (moment - run.start).total_seconds()
                if places and place - places[-1] < TICK_ROOM * self.length:
                    continue
                clock = "%H:%M:%S" if step < 60 else "%H:%M"
                places.append(round(place, 2))
                texts.append(f"{moment:{clock}}" + (f"<br>{moment:%b %d}" * (moment.date() != day)))
                day = moment.date()
        return places, texts


def pareto(study: Study, found: Summary) -> go.Figure:
    """The first two objectives of all complete trials, those that no other beats in front."""
    front = set(found.front)
    others = [trial for trial in found.ranked if trial.number not in front]
    first = [trial for trial in found.ranked if trial.number in front]
    first.sort(key=lambda trial: trial.values[1])
    costs = study.directions[1] == StudyDirection.MINIMIZE
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
        # Between two trials of the front, the worse of both is what can be had.
        line={"color": COMPLETE, "width": 1.2, "shape": "hv" if costs else "vh"},
        hoverinfo="skip",
        showlegend=False,
        visible=len(found.objectives) == 2,
    )
    return finish(figure, found.objectives[1], found.objectives[0])


def worker(trial: FrozenTrial) -> str:
    """Return where a trial ran."""
    return str(trial.user_attrs.get("worker", "this machine"))


def last_value(trial: FrozenTrial) -> float:
    """Return the last value that a trial reported."""
    return trial.intermediate_values[max(trial.intermediate_values)]
