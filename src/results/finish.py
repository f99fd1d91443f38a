"""What the terminal shows at the end of a search.

The end of a search: files in its folder, and what to do next on the screen.
"""

from collections.abc import Sequence
from pathlib import Path

import optuna
from omegaconf import DictConfig
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table
from rich.text import Text

from doctune.words import counted, duration
from src.results.best_trials import print_best_trials
from src.results.config import EXAMPLES
from src.results.confirmation.judge import Confirmation
from src.results.more_trials import more_trials
from src.results.pruning import was_it_safe
from src.results.stored_study import StoredStudy
from src.results.summary import EPOCHS_IN_FULL, Summary
from src.results.under_wear import wear_sentence
from src.results.verdict import in_full_sentence, verdict
from src.results.write import ResultFiles, write_results

# Characters of the bar of a parameter that is all that matters.
BAR = 30


def print_summary(files: ResultFiles, console: Console) -> None:
    """Print the top ten, the verdict, what mattered, what to change, and how to go on."""
    found = files.summary
    console.print()
    console.print(_counts(found), highlight=False, soft_wrap=True)
    if found.best is None:
        console.print(_best(found, files.confirmations), highlight=False, soft_wrap=True)
        console.print("No trial ran to the end, so there is nothing to train with yet.")
    else:
        print_best_trials(found, console)
        console.print()
        console.print(_best(found, files.confirmations), highlight=False, soft_wrap=True)
        under_wear = wear_sentence(found, found.best)
        in_full = in_full_sentence(found, files.confirmations)
        for said in filter(None, (in_full, under_wear, was_it_safe(found), more_trials(found))):
            console.print(said, highlight=False, markup=False, soft_wrap=True)
        if found.importances:
            console.print()
            console.print(_importances(found))
    console.print()
    for text in files.advice:
        console.print(f"! {text}", style="yellow", highlight=False, soft_wrap=True)
    for line in _labels(files):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(f"Report: {files.report}", highlight=False, soft_wrap=True)
    if files.command is not None:
        console.print("Train with the best parameters:", style="bold")
        console.print(f"  {files.command}", highlight=False, soft_wrap=True)


def print_decision(files: ResultFiles, console: Console) -> None:
    """Print the verdict alone, and how to go on, where more is known since the summary."""
    console.print(_best(files.summary, files.confirmations), highlight=False, soft_wrap=True)
    console.print(f"Report: {files.report}", highlight=False, soft_wrap=True)
    if files.command is not None:
        console.print("Train with what the figures say is best:", style="bold")
        console.print(f"  {files.command}", highlight=False, soft_wrap=True)


def _labels(files: ResultFiles) -> list[str]:
    """Say how many labels are probably wrong, where the trials know enough to say it."""
    suspects = files.suspects
    if suspects is None or files.labels is None or not suspects.lines:
        return []
    sheets = ""
    if suspects.sheets:
        sheets = f", {suspects.sheets} of them of pages that are there with another label as well"
    if suspects.uncertain:
        if not suspects.sheets:
            return []
        sheets = f"{counted(suspects.sheets, 'page')} are there with different labels"
        return [f"Labels: {sheets}: {files.labels}"]
    are = "label is" if len(suspects.lines) == 1 else "labels are"
    return [f"Labels: {len(suspects.lines)} {are} probably wrong{sheets}: {files.labels}"]


def _counts(found: Summary) -> Text:
    trials = counted(found.finished, "trial")
    text = Text(f"{found.name}: {trials} in {duration(found.seconds)}", style="bold")
    pruned = f"{len(found.by_pruner)} pruned"
    if found.by_pruner:
        pruned += f" ({found.pruned_share:.0%}, which saved {found.saved_share:.0%} of the epochs)"
    parts = [f"{len(found.ranked)} complete", pruned]
    parts += [f"{len(ended)} ended by {key}" for key, ended in found.out_of_time.items()]
    parts.append(f"{len(found.failed)} failed")
    for others, word in ((found.running, "running"), (found.lost, "cut off")):
        parts += [f"{len(others)} {word}"] if others else []
    text.append(
        f"  {', '.join(parts)}; {duration(found.trial_seconds)} of trials", style="not bold"
    )
    return text


def _best(found: Summary, confirmations: Sequence[Confirmation]) -> Text:
    said = verdict(found, confirmations)
    text = Text(f"{said.headline}. ", style="bold")
    text.append(said.detail, style="not bold")
    if found.gain is not None and found.in_full is None and not confirmations:
        text.append(
            f" 95 % interval of the gain: {found.gain.low:+.4f} to {found.gain.high:+.4f}, from "
            f"{found.gain.pairs} folds.",
            style="not bold",
        )
    return text


def _importances(found: Summary) -> Table:
    """Show how much each parameter mattered, as a share and as a bar."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("what mattered", no_wrap=True)
    table.add_column("share", justify="right")
    table.add_column("")
    for key, share in found.importances.items():
        bar = Text("━" * max(1, round(BAR * share)), style="blue")
        table.add_row(Text(key), f"{share:.0%}", bar)
    return table


def finish(study: optuna.Study, folder: Path, config: DictConfig) -> None:
    """Write the results of `study` into `folder` and print the summary."""
    # `src.report` ranks by it later, with nothing but the study at hand.
    rule = {
        "by": config.optuna.choose_by,
        "rule": config.optuna.choose,
        "tolerance": config.optuna.tolerance,
    }
    study.set_user_attr("choose", rule)
    study.set_user_attr(EPOCHS_IN_FULL, int(config.trainer.max_epochs))
    _end_left_runs(study, config)
    show_results(StoredStudy(study, folder))


def _end_left_runs(study: optuna.Study, config: DictConfig) -> None:
    """Tell the logger of trials whose process was killed before it could."""
    if config.logger.name != "mlflow":
        return
    from src.training.loggers import close_left_runs
    from src.training.run_log import COMPLETE, FAILED, KILLED, PRUNED

    ends = {TrialState.COMPLETE: COMPLETE, TrialState.PRUNED: PRUNED, TrialState.FAIL: FAILED}
    close_left_runs(
        config.logger,
        study.study_name,
        {
            trial.number: KILLED if trial.user_attrs.get("interrupted") else ends[trial.state]
            for trial in study.get_trials(deepcopy=False, states=tuple(ends))
        },
    )


def show_results(stored: StoredStudy, examples: int = EXAMPLES) -> None:
    """Write the results of a study, finished or not, and print the summary."""
    print_summary(write_results(stored, examples), Console())
