"""Long studies in no time: finished trials written straight into Optuna's tables."""

import datetime
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    distribution_to_json,
)
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import insert
from sqlalchemy.orm import Session

from doctune.study.storage import open_storage

STEPS = 9
BATCHES = (16, 32, 48, 64)
SPACE: dict[str, BaseDistribution] = {
    "optimizer.lr": FloatDistribution(1e-5, 1e-1, log=True),
    "optimizer.weight_decay": FloatDistribution(1e-3, 1.0, log=True),
    "data.batch_size": CategoricalDistribution(BATCHES),
    "model.drop_rate": FloatDistribution(0.0, 0.5),
    "loss.label_smoothing": FloatDistribution(0.0, 0.3),
}
# As many as a trial of an image classifier has.
NOTES = {f"note_{i}": [0.1 * i] * 4 for i in range(10)}


def score(params: dict[str, Any]) -> float:
    """Return the last value of a trial's curve: one peak, ridges along two parameters."""
    lr = math.log10(params["optimizer.lr"]) + 2.7
    decay = math.log10(params["optimizer.weight_decay"]) + 1.3
    batch = BATCHES.index(params["data.batch_size"])
    drop, smooth = params["model.drop_rate"] - 0.1, params["loss.label_smoothing"] - 0.1
    loss = 0.08 * lr**2 + 0.03 * (decay + 0.5 * lr) ** 2 + 0.01 * batch + drop**2 + smooth**2
    return float(0.9 * math.exp(-loss))


def curve(last: float) -> list[float]:
    """Return what a trial reports on the way to its last value."""
    return [last * (1 - 0.6 * math.exp(-0.5 * step)) for step in range(STEPS)]


def draw(rng: np.random.Generator) -> dict[str, Any]:
    """Draw parameters at random."""
    found: dict[str, Any] = {}
    for name, dist in SPACE.items():
        if isinstance(dist, CategoricalDistribution):
            found[name] = BATCHES[rng.integers(len(BATCHES))]
        elif isinstance(dist, FloatDistribution) and dist.log:
            found[name] = float(np.exp(rng.uniform(np.log(dist.low), np.log(dist.high))))
        elif isinstance(dist, FloatDistribution):
            found[name] = float(rng.uniform(dist.low, dist.high))
    return found


def prefill(
    url: str,
    name: str,
    count: int,
    seed: int = 0,
    running: Sequence[tuple[dict[str, Any], int]] = (),
) -> None:
    """Make a study that is maximized and has so many finished trials, a third of them pruned.

    Args:
        url: of its storage.
        name: of the study.
        count: of the trials.
        seed: of what is drawn.
        running: the owner of each and how many steps it has reported, where they run instead.
    """
    storage: Any = open_storage(url)
    study = optuna.create_study(
        study_name=name, storage=storage, direction="maximize", load_if_exists=True
    )
    there = len(study.get_trials(deepcopy=False))
    rng = np.random.default_rng(seed)
    with Session(storage.engine) as session:
        for first in range(0, count, 2000):
            numbers = range(there + first, there + min(count, first + 2000))
            _write(session, study._study_id, list(numbers), rng, running[first : first + 2000])
            session.commit()


def _write(
    session: Any,
    study_id: int,
    numbers: list[int],
    rng: np.random.Generator,
    running: Sequence[tuple[dict[str, Any], int]],
) -> None:
    now = datetime.datetime(2026, 1, 1)
    params = [draw(rng) for _ in numbers]
    pruned = [not running and bool(rng.random() < 1 / 3) for _ in numbers]
    trials = [
        {
            "number": number,
            "study_id": study_id,
            "state": TrialState.PRUNED if is_pruned else TrialState.COMPLETE,
            "_datetime_start_utc": now,
            "_datetime_complete_utc": now,
            **({"state": TrialState.RUNNING, "_datetime_complete_utc": None} if running else {}),
        }
        for number, is_pruned in zip(numbers, pruned, strict=True)
    ]
    made = session.scalars(insert(models.TrialModel).returning(models.TrialModel.trial_id), trials)
    ids = sorted(made.all())
    rows: dict[Any, list[dict[str, Any]]] = {
        models.TrialParamModel: [],
        models.TrialValueModel: [],
        models.TrialIntermediateValueModel: [],
        models.TrialUserAttributeModel: [],
    }
    for place, (trial_id, values, is_pruned) in enumerate(zip(ids, params, pruned, strict=True)):
        shown = curve(score(values))[: STEPS // 2 if is_pruned else STEPS]
        notes: dict[str, Any] = dict(NOTES)
        if running:
            shown = shown[: running[place][1]]
            notes = {**dict(list(NOTES.items())[:5]), "owner": running[place][0], "heartbeat": 0.0}
        rows[models.TrialParamModel] += [
            {
                "trial_id": trial_id,
                "param_name": name,
                "param_value": dist.to_internal_repr(values[name]),
                "distribution_json": distribution_to_json(dist),
            }
            for name, dist in SPACE.items()
        ]
        if not running:
            rows[models.TrialValueModel].append(
                {
                    "trial_id": trial_id,
                    "objective": 0,
                    "value": shown[-1],
                    "value_type": models.TrialValueModel.TrialValueType.FINITE,
                }
            )
        rows[models.TrialIntermediateValueModel] += [
            {
                "trial_id": trial_id,
                "step": step,
                "intermediate_value": value,
                "intermediate_value_type": (
                    models.TrialIntermediateValueModel.TrialIntermediateValueType.FINITE
                ),
            }
            for step, value in enumerate(shown)
        ]
        rows[models.TrialUserAttributeModel] += [
            {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
            for key, value in notes.items()
        ]
    for model, found in rows.items():
        if found:
            session.execute(insert(model), found)
