"""The end of a search: files in its folder, and what to do next on the screen."""

from pathlib import Path

import optuna
from omegaconf import DictConfig
from optuna.trial import TrialState
from rich.console import Console

from src.results.config import EXAMPLES
from src.results.stored_study import StoredStudy
from src.results.tables import print_summary
from src.results.write import write_results


def finish(study: optuna.Study, folder: Path, config: DictConfig) -> None:
    """Write the results of `study` into `folder` and print the summary."""
    # `src.report` ranks by it later, with nothing but the study at hand.
    rule = {"rule": config.optuna.choose, "tolerance": config.optuna.tolerance}
    study.set_user_attr("choose", rule)
    _end_left_runs(study, config)
    show_results(StoredStudy(study, folder))


def _end_left_runs(study: optuna.Study, config: DictConfig) -> None:
    """Tell the logger of trials whose process was killed before it could."""
    if config.logger.name != "mlflow":
        return
    from src.training.loggers import COMPLETE, FAILED, KILLED, PRUNED, close_left_runs

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
