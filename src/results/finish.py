"""The end of a search: files in its folder, and what to do next on the screen."""

from pathlib import Path

import optuna
from omegaconf import DictConfig
from rich.console import Console

from src.results.tables import print_summary
from src.results.write import write_results


def finish(study: optuna.Study, folder: Path, config: DictConfig) -> None:
    """Write the results of `study` into `folder` and print the summary."""
    files = write_results(study, folder, config)
    print_summary(files, Console())
