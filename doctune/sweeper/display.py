"""What the screen shows during a search: a live table on a terminal, plain lines elsewhere.

What the screen says of a trial, in a line or less.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from doctune.study.budget import Budget
from doctune.study.pruning_safety import BY_PRUNER, STOPPED
from doctune.study.study import was_interrupted
from doctune.sweeper.records import lines
from doctune.sweeper.standing import Standing
from doctune.words import short, show

STATE_WORDS = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


class Display(Protocol):
    """Told by the loop what happens."""

    def start(self) -> None:
        """Take the screen."""

    def trial_started(self, number: int, params: Mapping[str, Any]) -> None:
        """Note that a trial was handed to the launcher."""

    def trial_finished(self, trial: FrozenTrial) -> None:
        """Note that a trial ended."""

    def tell(self, text: str) -> None:
        """Leave a line."""

    def trials_taken_over(self, trials: Sequence[FrozenTrial]) -> None:
        """Note that trials had lost their process and were queued again."""

    def waiting_for(self, trials: Sequence[FrozenTrial]) -> None:
        """Note that only trials of other processes are left."""

    def stop(self) -> None:
        """Give the screen back."""


def make_display(
    study: optuna.Study,
    budget: Budget,
    console: Console,
    device_lines: Callable[[], Sequence[str]] | None = None,
) -> Display:
    """Choose the live table for a terminal, plain lines for anything else.

    `device_lines` says how busy the devices are, where the launcher can tell.
    """
    if console.is_terminal:
        return LiveDisplay(study, budget, console, device_lines)
    return PlainDisplay(study, budget, console)


class PlainDisplay:
    """One line an event, for logs and pipes."""

    def __init__(self, study: optuna.Study, budget: Budget, console: Console) -> None:
        self._standing = Standing(study, budget)
        self._console = console
        self._waits = False

    def start(self) -> None:
        """Count what an earlier run has finished already."""
        self._standing.start()

    def trial_started(self, number: int, params: Mapping[str, Any]) -> None:
        """Say nothing: the line at the end has everything."""

    def trial_finished(self, trial: FrozenTrial) -> None:
        """Print the trial, how many are finished, the best and the time left."""
        if was_interrupted(trial):
            self._print(runs_again(trial))
        else:
            self._print(finished_line(self._standing, trial))

    def tell(self, text: str) -> None:
        """Print it."""
        self._print(text)

    def trials_taken_over(self, trials: Sequence[FrozenTrial]) -> None:
        """Say which trials run again."""
        self._print(taken_over(trials))

    def waiting_for(self, trials: Sequence[FrozenTrial]) -> None:
        """Say once whom we wait for."""
        if not self._waits:
            self._print(waiting(trials))
        self._waits = True

    def stop(self) -> None:
        """Nothing to give back."""

    def _print(self, line: str) -> None:
        lines.info(line)
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class LiveDisplay:
    """A panel that is drawn anew twice a second: progress, the best so far, what runs."""

    def __init__(
        self,
        study: optuna.Study,
        budget: Budget,
        console: Console,
        device_lines: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        self._device_lines = device_lines
        self._study = study
        self._budget = budget
        self._standing = Standing(study, budget)
        self._waits = False
        self._live = Live(
            get_renderable=self._render, console=console, refresh_per_second=2, transient=True
        )

    def start(self) -> None:
        """Show the panel."""
        self._standing.start()
        self._live.start()

    def trial_started(self, number: int, params: Mapping[str, Any]) -> None:
        """Drawn from the study at the next refresh."""

    def trial_finished(self, trial: FrozenTrial) -> None:
        """Leave a line above the panel for a trial that failed."""
        if was_interrupted(trial):
            self.tell(runs_again(trial))
            return
        lines.info(finished_line(self._standing, trial))
        if trial.state is TrialState.FAIL:
            line = Text(f"trial {trial.number} failed: {trial.user_attrs.get('error', '')}")
            self._live.console.print(line, style="red")

    def tell(self, text: str) -> None:
        """Leave a line above the panel."""
        lines.info(text)
        self._live.console.print(Text(text), style="yellow")

    def trials_taken_over(self, trials: Sequence[FrozenTrial]) -> None:
        """Leave a line above the panel."""
        self.tell(taken_over(trials))

    def waiting_for(self, trials: Sequence[FrozenTrial]) -> None:
        """Leave a line above the panel, once."""
        if not self._waits:
            self.tell(waiting(trials))
        self._waits = True

    def stop(self) -> None:
        """Remove the panel."""
        self._live.stop()

    def _render(self) -> RenderableType:
        self._standing.look()
        by_state, done = self._standing.by_state, self._standing.done
        head = Table.grid(padding=(0, 2))
        head.add_row(
            ProgressBar(total=self._budget.n_trials, completed=done, width=30),
            f"[bold]{done}/{self._budget.n_trials}[/] trials",
            f"[green]{by_state[TrialState.COMPLETE]} done[/]",
            f"[yellow]{by_state[TrialState.PRUNED]} pruned[/]",
            f"[red]{by_state[TrialState.FAIL]} failed[/]",
            f"{self._standing.time_left} left",
        )
        parts: list[RenderableType] = [head]
        if self._device_lines is not None:
            parts += [Text(line, style="dim") for line in self._device_lines()]
        best = self._standing.best
        if best is not None:
            words = Text(f"best {score(best)}", style="bold")
            words.append(f"  trial {best.number}  {describe(best.params)}", style="not bold")
            parts.append(words)
        parts.append(self._running(self._standing.unfinished))
        title = f"[bold]{self._study.study_name}[/]"
        return Panel(Group(*parts), title=title, title_align="left", border_style="dim")

    def _running(self, trials: Sequence[FrozenTrial]) -> RenderableType:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for column in ("trial", "where", "progress", "score now", "parameters"):
            table.add_column(column, no_wrap=column != "parameters")
        for trial in (each for each in trials if each.state is TrialState.RUNNING):
            values = trial.intermediate_values
            now = f"{values[max(values)]:.4f}" if values else "-"
            attrs = trial.user_attrs
            row = (str(trial.number), attrs.get("worker", "-"), attrs.get("progress", "starting"))
            table.add_row(*(Text(cell) for cell in (*row, now, describe(trial.params))))
        return table


def finished_line(standing: Standing, trial: FrozenTrial) -> str:
    """Write a trial that has ended, how many are finished, the best and the time left."""
    standing.look()
    best = standing.best
    parts = [
        f"trial {trial.number} {how_it_ended(trial)} {outcome(trial)}",
        f"{standing.done}/{standing.asked_for} finished",
    ]
    if best is not None:
        parts.append(f"best {score(best)} (trial {best.number})")
    parts.append(f"{standing.time_left} left")
    return " | ".join(parts)


def how_it_ended(trial: FrozenTrial) -> str:
    """Write `done`, `pruned` or `failed`; a limit of time is not the pruner."""
    is_pruned = trial.state is TrialState.PRUNED
    if is_pruned and trial.user_attrs.get(STOPPED, BY_PRUNER) != BY_PRUNER:
        return "out of time"
    return STATE_WORDS[trial.state]


def describe(params: Mapping[str, Any]) -> str:
    """Write parameters in one line, each by the last part of its key."""
    return " ".join(f"{short(key)}={show(value)}" for key, value in params.items())


def score(trial: FrozenTrial) -> str:
    """Write the value or values of a finished trial."""
    return ", ".join(f"{value:.4f}" for value in trial.values or [])


def outcome(trial: FrozenTrial) -> str:
    """Write what came of a trial: its score, where it was pruned, or why it failed."""
    if trial.state is TrialState.COMPLETE:
        return score(trial)
    if trial.state is TrialState.PRUNED:
        last = trial.intermediate_values.get(trial.last_step or 0)
        at = trial.user_attrs.get("progress", f"step {trial.last_step}")
        return f"at {at}" + (f" with {last:.4f}" if last is not None else "")
    return str(trial.user_attrs.get("error", ""))


def runs_again(trial: FrozenTrial) -> str:
    """Write why a trial was cut off and is tried again."""
    reason = trial.user_attrs.get("error", "it was interrupted")
    return f"trial {trial.number} runs again: {reason}"


def taken_over(trials: Sequence[FrozenTrial]) -> str:
    """Write which trials have lost their process."""
    numbers = [trial.number for trial in trials]
    return f"trials {numbers} were interrupted; they run again"


def waiting(trials: Sequence[FrozenTrial]) -> str:
    """Write whose trials are still awaited."""
    where = [
        f"{trial.number} ({trial.user_attrs.get('owner', {}).get('host', 'elsewhere')})"
        for trial in trials
    ]
    return (
        f"all trials are given out; waiting for {', '.join(where)}, should one be lost it runs "
        "here. Ctrl-C leaves them to the other process"
    )
