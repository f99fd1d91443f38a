"""Ray Tune: ASHA with Optuna's search (TPE), two trials at a time, a core each."""

import os
import time
from typing import Any

import ray
from optuna.samplers import TPESampler
from ray import tune
from ray.tune.integration.pytorch_lightning import TuneReportCheckpointCallback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from tests.benchmarks.peers.training import BATCHES, epochs, note, setting, train


def trainable(config: dict[str, Any]) -> None:
    """Train one trial."""
    report = TuneReportCheckpointCallback(
        {"f1": "val/f1"}, save_checkpoints=False, on="validation_end"
    )
    train(config, [report])


class Record(tune.Callback):  # type: ignore[misc]
    """Notes every trial in the driver, whoever ended it."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._curves: dict[str, list[float]] = {}

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        self._started[trial.trial_id] = time.time()

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **_: Any
    ) -> None:
        self._curves.setdefault(trial.trial_id, []).append(result["f1"])

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        curve = self._curves.get(trial.trial_id, [])
        note(
            start=self._started[trial.trial_id],
            end=time.time(),
            value=curve[-1] if curve else None,
            state="COMPLETE" if len(curve) >= epochs() else "PRUNED",
            epochs=len(curve),
            params=trial.config,
        )


if __name__ == "__main__":
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=os.environ["PEER_RAY"]
    )
    tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={
            "lr": tune.loguniform(1e-4, 1e-2),
            "batch_size": tune.choice(BATCHES),
            "weight_decay": tune.uniform(0.01, 0.1),
            "drop_rate": tune.uniform(0.01, 0.15),
        },
        tune_config=tune.TuneConfig(
            metric="f1",
            mode="max",
            num_samples=int(setting("TRIALS")),
            max_concurrent_trials=2,
            search_alg=OptunaSearch(sampler=TPESampler(seed=int(setting("SEED")))),
            # As Ray's guide for Lightning has them.
            scheduler=ASHAScheduler(max_t=epochs(), grace_period=1, reduction_factor=2),
            reuse_actors=setting("QUALITY") == "tuned",
        ),
        run_config=tune.RunConfig(
            storage_path=f"{setting('OUT')}/ray", verbose=0, callbacks=[Record()]
        ),
    ).fit()
