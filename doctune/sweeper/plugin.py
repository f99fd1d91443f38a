"""The Hydra plugin `hydra/sweeper: optuna_async`.

Hydra imports every plugin at every start, so this file stays light: Optuna is imported when
a search really runs.
"""

import signal
import sys
from typing import Any, NoReturn

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from doctune.sweeper.config import read_keys

STOPPED = "stopped; the same command goes on"


def _stop() -> NoReturn:
    print(STOPPED, file=sys.stderr)
    # As of any program that a signal has ended.
    sys.exit(128 + signal.SIGINT)


class OptunaAsyncSweeper(Sweeper):
    """Keeps `n_jobs` Optuna trials in flight, each a Hydra job, without waiting for batches."""

    def __init__(self, **keys: Any) -> None:
        self._keys = keys

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra gives every sweeper."""
        try:
            from doctune.shown_keys import show_keys_of
            from doctune.sweeper.sweeper import AsyncSweeper

            show_keys_of(config)
            self._sweeper = AsyncSweeper(read_keys(self._keys))
            self._sweeper.setup(
                hydra_context=hydra_context, task_function=task_function, config=config
            )
        except KeyboardInterrupt:
            _stop()

    def sweep(self, arguments: list[str]) -> Any:
        """Run the search that the command line describes."""
        from doctune.errors import UserError
        from doctune.study.outage import AWAY, reason_of

        try:
            return self._sweeper.sweep(arguments)
        except KeyboardInterrupt:
            # While trials run the signal is taken otherwise.
            _stop()
        except AWAY as error:
            raise UserError(
                f"storage: it does not answer ({reason_of(error)}); nothing that is finished is "
                "lost, the same command goes on when it is back"
            ) from error
