"""The Hydra plugin `hydra/sweeper: optuna_async`.

Hydra imports every plugin at every start, so this file stays light: Optuna is imported when
a search really runs.
"""

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from src.sweep import config as config


class OptunaAsyncSweeper(Sweeper):
    """Keeps `n_jobs` Optuna trials in flight, each a Hydra job, without waiting for batches."""

    def __init__(self, **keys: Any) -> None:
        self._keys = keys

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra gives every sweeper."""
        from src.sweep.sweeper import AsyncSweeper

        self._sweeper = AsyncSweeper(**self._keys)
        self._sweeper.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        """Run the search that the command line describes."""
        from src.sweep.errors import SweepError

        try:
            return self._sweeper.sweep(arguments)
        except KeyboardInterrupt:
            # While trials run the signal is taken otherwise.
            raise SweepError("stopped; the same command goes on") from None
