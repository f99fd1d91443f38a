"""The Hydra plugin `hydra/sweeper: optuna_async`.

Hydra imports every plugin at every start, so this file stays light: Optuna is imported when
a search really runs.
"""

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from doctune.sweeper import config as config


class OptunaAsyncSweeper(Sweeper):
    """Keeps `n_jobs` Optuna trials in flight, each a Hydra job, without waiting for batches."""

    def __init__(self, **keys: Any) -> None:
        self._keys = keys

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra gives every sweeper."""
        from doctune.sweeper.sweeper import AsyncSweeper

        self._sweeper = AsyncSweeper(**self._keys)
        self._sweeper.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        """Run the search that the command line describes."""
        from doctune.errors import UserError

        try:
            return self._sweeper.sweep(arguments)
        except KeyboardInterrupt:
            # While trials run the signal is taken otherwise.
            raise UserError("stopped; the same command goes on") from None
