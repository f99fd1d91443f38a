"""A trial, and a training in full, whose pages are worn before they are scored."""

from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import optuna
import pytest
from omegaconf import DictConfig
from sklearn.metrics import f1_score

from doctune.study.ownership import this_process
from doctune.study.queue import interrupt, requeue_interrupted, reserve
from doctune.trial import RunningTrial
from src.data.image_set import ImageSet
from src.data.wear import as_scored
from src.training.evaluate import evaluate
from src.training.fit import fit
from src.training.loggers import open_run_log
from src.trial import quick_validation
from src.trial.out_of_fold import CLEAN, OutOfFold
from tests.conftest import Compose

# Colours tell these classes apart: in the dark they do so less.
WEAR = "quick_validation.wear={brightness:0.4,contrast:0.9,noise:0.3}"


@pytest.fixture
def quick(cfg: Compose) -> DictConfig:
    config: DictConfig = cfg(
        *("data.img_size=32", "data.batch_size=16", "quick_validation.epochs=2"),
        *("quick_validation.folds=2", "quick_validation.wear_draws=2", WEAR),
        *("logger=none", "augment=none", "optuna.objectives=[f1,f1_clean,log_loss]"),
    )
    return config


def run(cfg: DictConfig, data: ImageSet, trial: RunningTrial, folder: Path) -> list[float]:
    place = folder / str(trial.number)
    place.mkdir()
    with open_run_log(cfg, place, "study", trial.number) as log_to:
        found = quick_validation.cross_validate(cfg, data, trial, log_to, place)
    assert isinstance(found, list)
    return found


def next_trial(study: optuna.Study) -> RunningTrial:
    return RunningTrial(study, reserve(study, this_process()).number, prune=False)


def of_folds(kept: OutOfFold) -> list[float]:
    guessed = kept.probabilities.argmax(1)
    rows = [kept.folds == fold for fold in range(2)]
    return [f1_score(kept.labels[some], guessed[some], average="macro") for some in rows]


def test_a_trial_is_ranked_by_worn_pages_and_keeps_both_scores(
    quick: DictConfig, blobs: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.create_study(directions=["maximize", "maximize", "minimize"])
    first = next_trial(study)
    f1, f1_clean, _ = run(quick, blobs, first, tmp_path)
    worn, clean = (OutOfFold.load(tmp_path / "0", file) for file in ("oof.npz", CLEAN))
    assert f1 == pytest.approx(fmean(of_folds(worn)), abs=0.02)
    assert f1_clean == pytest.approx(fmean(of_folds(clean)))
    assert f1 < f1_clean
    noted = study.trials[0].user_attrs
    assert noted["classes"] == len(blobs.classes)
    assert noted["folds"] == pytest.approx(of_folds(worn), abs=0.02)
    assert noted["folds_clean"] == pytest.approx(of_folds(clean))
    # Every page once as it is, and once for each draw.
    assert sorted(clean.rows) == list(range(90))
    assert sorted(worn.rows) == list(range(180))
    np.testing.assert_array_equal(worn.labels, np.tile(blobs.targets, 2)[worn.rows])

    # Cut off after a fold, another trial goes on with both kinds of predictions.
    trained = []

    def watched(*arguments, **named):  # type: ignore[no-untyped-def]
        trained.append(named["seed"])
        if trained == [quick.seed, quick.seed + 1]:
            raise KeyboardInterrupt
        return fit(*arguments, **named)

    monkeypatch.setattr(quick_validation, "fit", watched)
    study.enqueue_trial({"x": 1.0})
    cut_off = next_trial(study)
    with pytest.raises(KeyboardInterrupt):
        run(quick, blobs, cut_off, tmp_path)
    interrupt(study, study.trials[cut_off.number])
    requeue_interrupted(study)
    again = next_trial(study)
    assert run(quick, blobs, again, tmp_path)[:2] == pytest.approx([f1, f1_clean], abs=1e-6)
    assert len(trained) == 3, "the finished fold is not trained again"


def test_the_epoch_that_is_kept_is_the_best_on_worn_pages(
    cfg: Compose, blobs: ImageSet, tmp_path: Path
) -> None:
    config = cfg(
        *("data.img_size=32", "data.batch_size=16", "augment=none", WEAR),
        *("callbacks.progress=false", "optimizer.lr=3e-3", "scheduler=constant"),
    )
    train, held_out = blobs.subset(np.arange(60)), blobs.subset(np.arange(60, 90))
    scored = as_scored(config, held_out)
    result = fit(config, train, scored, max_epochs=4, seed=0, output_dir=tmp_path)
    kept: Any = result.trainer.checkpoint_callback
    best = float(kept.best_model_score)
    assert evaluate(result, scored, config).f1 == pytest.approx(best)
    assert evaluate(result, held_out, config).f1 > best
