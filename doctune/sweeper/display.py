"""What the screen shows during a search: a live table on a terminal, plain lines elsewhere.

What the screen says of a trial, in a line or less.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

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


def make_display(
    study: optuna.Study,
    budget: Budget,
    console: Console,
    device_lines: Callable[[], Sequence[str]] | None = None,
) -> "Display":
    """Choose the live table for a terminal, plain lines for anything else.

    `device_lines` says how busy the devices are, where the launcher can tell.
    """
    if console.is_terminal:
        return LiveDisplay(study, budget, console, device_lines)
    return Display(study, budget, console)


class Display:
    """Told by the loop what happens: one line an event, for logs and pipes."""

    def __init__(self, study: optuna.Study, budget: Budget, console: Console) -> None:
        self._standing = Standing(study, budget)
        self._console = console
        self._waits = False

    def start(self) -> None:
        """Count what an earlier run has finished already."""
        self._standing.start()

    def trial_finished(self, trial: FrozenTrial) -> None:
        """Say how a trial has ended, how many are finished, the best and the time left."""
        if was_interrupted(trial):
            reason = trial.user_attrs.get("error", "it was interrupted")
            self.tell(f"trial {trial.number} runs again: {reason}")
        else:
            self._show_end(trial)

    def tell(self, text: str) -> None:
        """Leave a line."""
        lines.info(text)
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def trials_taken_over(self, trials: Sequence[FrozenTrial]) -> None:
        """Say which trials had lost their process and run again."""
        numbers = [trial.number for trial in trials]
        self.tell(f"trials {numbers} were interrupted; they run again")

    def waiting_for(self, trials: Sequence[FrozenTrial]) -> None:
        """Say once whom we wait for: only trials of other processes are left."""
        if self._waits:
            return
        self._waits = True
        where = [
            f"{trial.number} ({trial.user_attrs.get('owner', {}).get('host', 'elsewhere')})"
            for trial in trials
        ]
        self.tell(
            f"all trials are given out; waiting for {', '.join(where)}, should one be lost it runs "
            "here. Ctrl-C leaves them to the other process"
        )

    def stop(self) -> None:
        """Give the screen back."""

    def _show_end(self, trial: FrozenTrial) -> None:
        self.tell(self._finished_line(trial))

    def _finished_line(self, trial: FrozenTrial) -> str:
        self._standing.look()
        best = self._standing.best
        parts = [
            f"trial {trial.number} {how_it_ended(trial)} {outcome(trial)}",
            f"{self._standing.done}/{self._standing.asked_for} finished",
        ]
        if best is not None:
            parts.append(f"best {score(best)} (trial {best.number})")
        parts.append(f"{self._standing.time_left} left")
        return " | ".join(parts)


class LiveDisplay(Display):
    """A panel that is drawn anew twice a second: progress, the best so far, what runs."""

    def __init__(
        self,
        study: optuna.Study,
        budget: Budget,
        console: Console,
        device_lines: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        super().__init__(study, budget, console)
        self._device_lines = device_lines
        self._study = study
        self._live = Live(
            get_renderable=self._render, console=console, refresh_per_second=2, transient=True
        )

    def start(self) -> None:
        """Show the panel."""
        super().start()
        self._live.start()

    def tell(self, text: str) -> None:
        """Leave a line above the panel."""
        lines.info(text)
        self._console.print(Text(text), style="yellow")

    def stop(self) -> None:
        """Remove the panel."""
        self._live.stop()

    def _show_end(self, trial: FrozenTrial) -> None:
        """Leave a line above the panel for a trial that failed; it shows the others."""
        lines.info(self._finished_line(trial))
        if trial.state is TrialState.FAIL:
            told = Text(f"trial {trial.number} failed: {trial.user_attrs.get('error', '')}")
            self._console.print(told, style="red")

    def _render(self) -> RenderableType:
        self._standing.look()
        by_state, done = self._standing.by_state, self._standing.done
        head = Table.grid(padding=(0, 2))
        head.add_row(
            ProgressBar(total=self._standing.asked_for, completed=done, width=30),
            f"[bold]{done}/{self._standing.asked_for}[/] trials",
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
        step = trial.last_step
        at = trial.user_attrs.get("progress", f"step {step}")
        if step is None:
            return f"at {at}" if "progress" in trial.user_attrs else "before its first report"
        return f"at {at} with {trial.intermediate_values[step]:.4f}"
    return str(trial.user_attrs.get("error", ""))
