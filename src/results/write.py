"""The files of a study, in its folder."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState

from doctune.errors import UserError
from doctune.files import write_text
from doctune.passwords import without_passwords
from doctune.study.ownership import seems_gone
from doctune.study.study import was_interrupted
from doctune.words import settings_of
from src.data.pages_to_come.compare import Comparison
from src.data.pages_to_come.gather import comparison
from src.results.advice import advice
from src.results.best_trials import describe_score
from src.results.config import EXAMPLES
from src.results.confirmation.judge import Confirmation, load_confirmations
from src.results.confusions import find_mistakes
from src.results.ensemble.result import load_ensemble
from src.results.in_full import in_full
from src.results.report import Decision, Labels, render_report
from src.results.stored_study import StoredStudy
from src.results.summary import Summary, summarize
from src.results.suspects.find import Suspects, find_suspects, study_labels
from src.results.suspects.table import FILE as LABELS
from src.results.suspects.table import Row, decided_rows, table_text
from src.results.train_config import train_command, write_train_config
from src.results.verdict import trial_to_train, verdict

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ResultFiles:
    """What was written; a path is None where the study holds nothing for that file yet."""

    summary: Summary
    trials: Path
    report: Path
    best_params: Path | None
    train_config: Path | None
    confirmations: Sequence[Confirmation]
    # What to do differently next time, in words.
    advice: Sequence[str]
    # Labels that are probably wrong, and the table of them for a person to decide on.
    suspects: Suspects | None
    labels: Path | None

    @property
    def command(self) -> str | None:
        """Return the command that trains with the best parameters."""
        return train_command(self.train_config) if self.train_config else None


def write_results(stored: StoredStudy, examples: int = EXAMPLES) -> ResultFiles:
    """Write best parameters, train config, table of trials and report into the study's folder.

    Args:
        stored: the study, finished or not.
        examples: images in the report for each pair of confused classes.
    """
    study, folder = stored.study, stored.folder
    folder.mkdir(parents=True, exist_ok=True)
    confirmations = load_confirmations(folder)
    confirmed = any(not one.other_data for one in confirmations)
    summary = summarize(study)
    # What short trials leave open is then known, or said by the verdict.
    settled = confirmed or summary.in_full is not None
    said = advice(summary, stored.search_space_entries(), settled)
    chosen = trial_to_train(summary, confirmations)
    best_params = train_config = None
    if chosen is not None:
        best_params = folder / "best_params.yaml"
        header = f"# Study {study.study_name}, trial {chosen.number}: {describe_score(chosen)}\n"
        params = OmegaConf.create(settings_of(chosen.params))
        write_text(best_params, header + OmegaConf.to_yaml(params))
        try:
            train_config = write_train_config(stored, chosen)
        except UserError as error:
            said.append(f"No train config was written. {error}")
    trials = folder / "trials.csv"
    write_text(trials, trials_table(study).to_csv(index=False))
    report = folder / "optuna_study_report.html"
    command = train_command(train_config) if train_config else None
    decision = Decision(
        chosen,
        verdict(summary, confirmations),
        command,
        confirmations,
        load_ensemble(folder),
        said,
    )
    mistakes = find_mistakes(stored, chosen.number, examples) if chosen else None
    number = chosen.number if chosen else None
    trials_in_full = in_full(stored, summary, command, number)
    decided = _decided(stored)
    suspects = labels = None
    if decided is not None:
        suspects = find_suspects(stored, decided, pictures=examples > 0)
    if decided is not None and suspects is not None:
        labels = _write_labels(folder, suspects, decided)
    told = Labels(suspects, labels) if suspects and labels else None
    to_come = _to_come(stored, chosen.number) if chosen else None
    page = render_report(study, summary, decision, mistakes, trials_in_full, told, to_come)
    write_text(report, page)
    return ResultFiles(
        summary=summary,
        trials=trials,
        report=report,
        best_params=best_params,
        train_config=train_config,
        confirmations=confirmations,
        advice=said,
        suspects=suspects,
        labels=labels,
    )


def _to_come(stored: StoredStudy, trial: int) -> Comparison | None:
    """Return how pages to classify differ, as it was found when the search began."""
    try:
        return comparison(stored.trial_config(trial).data, work_out=False)
    except UserError:
        # They may no longer be there.
        return None


def _decided(stored: StoredStudy) -> dict[str, Row] | None:
    """Return what a person has decided about labels; None where it cannot be read."""
    path, given = stored.folder / LABELS, study_labels(stored)
    try:
        return decided_rows([*([Path(given).expanduser()] if given else []), path])
    except UserError as error:
        # What a person has written is worth more than a fresh table.
        log.warning("%s is left as it is: %s", path, error)
        return None


def _write_labels(folder: Path, suspects: Suspects, decided: Mapping[str, Row]) -> Path | None:
    """Write the table of suspects; None where there is nothing to write."""
    path = folder / LABELS
    if not suspects.lines and not decided:
        path.unlink(missing_ok=True)
        return None
    write_text(path, table_text(suspects.lines, decided))
    return path


def trials_table(study: optuna.Study) -> pd.DataFrame:
    """Return a row for every trial: number, state, values, parameters, costs, reasons."""
    rows = []
    trials = study.get_trials(deepcopy=False)
    under_wear = any("folds_clean" in trial.user_attrs for trial in trials)
    for trial in trials:
        attrs = trial.user_attrs
        seconds = trial.duration.total_seconds() if trial.duration else None
        rows.append(
            {
                "number": trial.number,
                "state": "INTERRUPTED" if _lost_its_process(trial) else trial.state.name,
                **{f"value_{i}": value for i, value in enumerate(trial.values or [])},
                **settings_of(trial.params),
                "epochs": attrs.get("epochs", len(trial.intermediate_values)),
                "seconds": seconds,
                "folds": _joined(attrs, "folds"),
                **({"folds_clean": _joined(attrs, "folds_clean")} if under_wear else {}),
                "worker": attrs.get("worker"),
                "stopped_by": attrs.get("stopped"),
                "error": without_passwords(attrs["error"]) if "error" in attrs else None,
            }
        )
    table = pd.DataFrame(rows)
    return table.rename(columns={"value_0": "value"}) if len(study.directions) == 1 else table


def _joined(attrs: Mapping[str, Any], name: str) -> str:
    return " ".join(f"{fold:.4f}" for fold in attrs.get(name, []))


def _lost_its_process(trial: FrozenTrial) -> bool:
    is_running = trial.state is TrialState.RUNNING
    return was_interrupted(trial) or (is_running and seems_gone(trial))
