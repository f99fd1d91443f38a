"""A trial that was interrupted goes on from its last finished fold, to the same result."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from omegaconf import DictConfig

from doctune.study.ownership import this_process
from doctune.study.queue import interrupt, requeue_interrupted, reserve
from doctune.trial import RunningTrial
from src.data.image_set import ImageSet
from src.training.fit import FitResult, fit
from src.training.loggers import open_run_log
from src.trial import quick_validation
from src.trial.finished_folds import take_over
from src.trial.out_of_fold import OutOfFold
from src.trial.running_score import RunningScore
from tests.conftest import Compose

EPOCHS, FOLDS = 2, 2


@pytest.fixture
def quick(cfg: Compose) -> DictConfig:
    config: DictConfig = cfg(
        *("data.img_size=32", "data.batch_size=16", f"quick_validation.epochs={EPOCHS}"),
        *(f"quick_validation.folds={FOLDS}", "logger=none", "augment=none"),
        *("model.name=test_vit", "+model.kwargs={depth: 1}"),
    )
    return config


@dataclass
class Fits:
    """The seeds of the folds that were trained, and after how many the process is to end."""

    seeds: list[int] = field(default_factory=list)
    end_after: int = FOLDS


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> Fits:
    """Watch over the folds that are trained."""
    seen = Fits()

    def watched(*arguments: Any, **named: Any) -> FitResult:
        if len(seen.seeds) == seen.end_after:
            raise KeyboardInterrupt
        seen.seeds.append(named["seed"])
        return fit(*arguments, **named)

    monkeypatch.setattr(quick_validation, "fit", watched)
    return seen


def run(cfg: DictConfig, data: ImageSet, trial: RunningTrial, folder: Path) -> float | list[float]:
    place = folder / str(trial.number)
    place.mkdir()
    with open_run_log(cfg, place, "study", trial.number) as log_to:
        return quick_validation.cross_validate(cfg, data, trial, log_to, place)


def next_trial(study: optuna.Study) -> RunningTrial:
    return RunningTrial(study, reserve(study, this_process()).number, prune=False)


def test_the_result_is_that_of_an_uninterrupted_trial(
    quick: DictConfig, blobs: ImageSet, tmp_path: Path, fits: Fits
) -> None:
    study = optuna.create_study(direction="maximize")
    whole = next_trial(study)
    run(quick, blobs, whole, tmp_path)

    fits.seeds.clear()
    fits.end_after = FOLDS - 1
    study.enqueue_trial({"x": 1.0})
    cut_off = next_trial(study)
    with pytest.raises(KeyboardInterrupt):
        run(quick, blobs, cut_off, tmp_path)
    interrupt(study, study.trials[cut_off.number])
    requeue_interrupted(study)

    fits.seeds.clear()
    again = next_trial(study)
    run(quick, blobs, again, tmp_path)
    assert fits.seeds == [quick.seed + FOLDS - 1], "only the last fold is trained"
    first, _, last = study.trials
    assert last.value == pytest.approx(first.value, abs=1e-6)
    assert last.intermediate_values == pytest.approx(first.intermediate_values, abs=1e-6)
    for kind in ("train", "val"):
        again_lost, lost = (np.array(t.user_attrs["losses"][kind]) for t in (last, first))
        assert lost.shape == (FOLDS, EPOCHS)
        np.testing.assert_allclose(again_lost, lost, atol=1e-4)
    assert last.user_attrs["epochs"] == first.user_attrs["epochs"] == EPOCHS * FOLDS
    assert last.user_attrs["train_seconds"] > study.trials[1].user_attrs["seconds_of_folds"]
    ours, theirs = (OutOfFold.load(tmp_path / str(t.number)) for t in (last, first))
    np.testing.assert_array_equal(ours.rows, theirs.rows)
    np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=1e-2)


def test_a_job_that_was_given_back_goes_on_as_the_same_trial(tmp_path: Path) -> None:
    study = optuna.create_study(direction="maximize")
    trial = next_trial(study)
    trial.report(0.4, 0)
    trial.report(0.5, 1)
    trial.report(0.3, 2)
    trial.note("curves", [[0.4, 0.5]])
    trial.note("seconds_of_folds", 1.0)
    rows = np.arange(4)
    halves = np.log(np.full((4, 2), 0.5, np.float32))
    kept = OutOfFold(rows, rows % 2, np.zeros(4, np.int64), halves, ("a", "b"))
    (tmp_path / "0").mkdir()
    kept.save(tmp_path / "0")
    again, score = RunningTrial(study, trial.number, prune=False), RunningScore()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert take_over(again, score, tmp_path / "0", epochs=2, shares=2) is not None
        again.report(0.3, 2)
    assert score.curves == [[0.4, 0.5]]
    assert study.trials[0].intermediate_values == {0: 0.4, 1: 0.5, 2: 0.3}


@pytest.mark.parametrize("left", [None, b"", b"PK half a file"], ids=["none", "empty", "half"])
def test_without_its_predictions_a_trial_starts_again(tmp_path: Path, left: bytes | None) -> None:
    study = optuna.create_study()
    study.add_trial(
        optuna.trial.create_trial(
            state=optuna.trial.TrialState.WAITING,
            user_attrs={"continues": 7, "curves": [[0.1, 0.2]], "seconds_of_folds": 1.0},
        )
    )
    if left is not None:
        (tmp_path / "7").mkdir()
        (tmp_path / "7" / "oof.npz").write_bytes(left)
    score = RunningScore()
    assert take_over(next_trial(study), score, tmp_path / "0", epochs=2, shares=2) is None
    assert score.finals == []


def test_a_loss_that_is_no_number_ends_the_trial_in_its_first_epoch(
    quick: DictConfig, blobs: ImageSet, tmp_path: Path, fits: Fits
) -> None:
    quick.optimizer.lr = 1e30
    trial = next_trial(optuna.create_study(direction="maximize"))
    with pytest.raises(FloatingPointError, match=r"loss is NaN \(fold 1, epoch 1\)"):
        run(quick, blobs, trial, tmp_path)
    assert len(fits.seeds) == 1
    assert trial.study.trials[0].intermediate_values == {}
