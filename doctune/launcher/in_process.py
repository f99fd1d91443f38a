"""Hydra's own launcher, which runs jobs in the process of the search, without what it does twice.

It composes each job's config anew, and copies it; here as in our workers.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig

from doctune.launcher.job.composing import JobComposer
from doctune.launcher.job.config import SharedConfig, for_one_job


def make_quick(launcher: Any, composer: JobComposer) -> None:
    """Let a `BasicLauncher` compose jobs by what they differ in.

    Args:
        launcher: set up; it runs nothing but the jobs of this search.
        composer: of the jobs.
    """
    SharedConfig.install()
    loader = _JobsLoader(composer)
    launcher.hydra_context = dataclasses.replace(launcher.hydra_context, config_loader=loader)


class _JobsLoader:
    """What `BasicLauncher` and `run_job` need of a config loader."""

    def __init__(self, composer: JobComposer) -> None:
        self._composer = composer

    def load_sweep_config(self, _: DictConfig, sweep_overrides: Sequence[str]) -> DictConfig:
        return for_one_job(self._composer.compose(sweep_overrides))
