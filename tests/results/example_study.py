"""A study as a search leaves it, and its results in a folder."""

import copy
import datetime
import math
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from src.results.stored_study import StoredStudy
from src.results.write import ResultFiles, write_results

DISTRIBUTIONS = {
    "optimizer.lr": FloatDistribution(1e-5, 1e-2, log=True),
    "data.batch_size": CategoricalDistribution([64, 16, 32]),
    "model.drop_rate": FloatDistribution(0, 0.3),
}


def make_study(
    complete: int,
    pruned: int = 0,
    failed: int = 0,
    running: int = 0,
    noise: float = 0.01,
    pruner: str | None = None,
    late: bool = False,
) -> optuna.Study:
    """Return a study in which higher learning rates are better, on three folds."""
    study = optuna.create_study(study_name="<b>name</b>", direction="maximize")
    states = [TrialState.COMPLETE] * complete + [TrialState.PRUNED] * pruned
    states += [TrialState.FAIL] * failed + [TrialState.RUNNING] * running
    rng = np.random.default_rng(1)
    start = datetime.datetime(2026, 1, 1)
    trials = []
    for i, state in enumerate(states):
        lr = float(10 ** rng.uniform(-5, -2)) if i else 1e-5
        score = 0.5 + 0.1 * math.log10(lr / 1e-5)
        folds = [score + noise, score - noise * (i > 0), score]
        attrs: dict[str, Any] = {"worker": f"cpu {i % 2}", "environment": {"torch": "9.9"}}
        if i == 0:
            attrs["defaults"] = True
        if late and state is TrialState.PRUNED:
            attrs["stopped"] = "timeout"
        if pruner:
            attrs["workload"] = {"pruning": {"pruner": pruner, "patience": 3}}
        if state is TrialState.COMPLETE:
            attrs["folds"] = folds
        if state is TrialState.FAIL:
            attrs["error"] = "RuntimeError: <script>alert(1)</script> at sql://me:secret@host"
        steps = 1 if state is TrialState.PRUNED else 4
        trial = create_trial(
            state=state,
            value=sum(folds) / 3 if state is TrialState.COMPLETE else None,
            params={
                "optimizer.lr": lr,
                "data.batch_size": int(rng.choice([16, 32, 64])),
                "model.drop_rate": float(rng.uniform(0, 0.3)),
            },
            distributions=DISTRIBUTIONS,
            intermediate_values={step: score * (step + 1) / 4 for step in range(steps)},
            user_attrs=attrs,
        )
        trial.datetime_start = start + datetime.timedelta(seconds=i)
        ended = state is not TrialState.RUNNING
        trial.datetime_complete = start + datetime.timedelta(seconds=i + 2) if ended else None
        trials.append(trial)
    study.add_trials(trials)
    return study


def written(study: optuna.Study, folder: Path, cfg: Any) -> tuple[ResultFiles, str]:
    """Write the results of a study whose trials have left the records that Hydra leaves."""
    for trial in study.trials:
        record = folder / str(trial.number) / ".hydra"
        record.mkdir(parents=True, exist_ok=True)
        job = copy.deepcopy(cfg)
        for key, value in trial.params.items():
            OmegaConf.update(job, key, value)
            job.hydra.overrides.task.append(f"{key}={value}")
        OmegaConf.save(OmegaConf.create({"hydra": job.pop("hydra")}), record / "hydra.yaml")
        OmegaConf.save(job, record / "config.yaml")
    files = write_results(StoredStudy(study, folder))
    return files, files.report.read_text()
