"""Trials of equal time: their epochs are measured, and they are compared at equal shares."""

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig

from doctune.study.ownership import this_process
from doctune.study.queue import interrupt, requeue_interrupted, reserve
from doctune.trial import RunningTrial
from src.before.trial_length import NOTE, InTime
from src.data.image_set import ImageSet
from src.training.fit import FitResult, fit
from src.training.loggers import open_run_log
from src.trial import equal_time, quick_validation
from src.trial.equal_time import Stopwatch
from src.trial.running_score import share_after
from tests.conftest import Compose

FOLDS, SHARES, EPOCHS = 2, 2, 4


@given(st.integers(1, 60), st.integers(1, 60))
def test_what_is_compared_has_had_its_share_of_the_time(epochs: int, shares: int) -> None:
    found = [share_after(epoch, epochs, shares) for epoch in range(epochs)]
    assert found[-1] == shares - 1
    told = [(share, epoch) for epoch, share in enumerate(found) if share is not None]
    assert all(one[0] < other[0] for one, other in pairwise(told))
    for share, epoch in told:
        assert (share + 1) / shares <= (epoch + 1) / epochs + 1e-9
        if epochs >= shares:
            # And not an epoch more than it takes.
            assert epoch / epochs < (share + 1) / shares
    if epochs >= shares:
        assert len(told) == shares
    if epochs == shares:
        assert found == list(range(epochs))


class Clock:
    """A clock that goes on when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def watched(enough: float, batches: list[list[float]], scorings: list[float]) -> Stopwatch:
    """Return a stopwatch behind epochs of batches that take so many seconds each."""
    clock = Clock()
    watch = Stopwatch(enough, clock)
    trainer: Any = SimpleNamespace(
        num_training_batches=len(batches[0]),
        strategy=SimpleNamespace(root_device=SimpleNamespace(type="cpu")),
        sanity_checking=False,
        should_stop=False,
    )
    module: Any = None
    for epoch, scoring in zip(batches, scorings, strict=True):
        watch.on_train_epoch_start(trainer, module)
        for number, seconds in enumerate(epoch):
            clock.now += seconds
            trainer.is_last_batch = number == len(epoch) - 1
            watch.on_train_batch_end(trainer, module, None, None, number)
            if trainer.should_stop:
                break
        clock.now += scoring
        watch.on_validation_end(trainer, module)
        if trainer.should_stop:
            break
    return watch


@pytest.mark.parametrize(
    ("enough", "batches", "scorings", "epoch"),
    [
        # The first two are slow and do not count: 10 batches of 2 s, and 3 s of scoring.
        (5.0, [[30, 9, *[2] * 8]], [3], 23),
        # Enough is enough: the slow ones at the end are not reached.
        (4.0, [[30, 9, 2, 2, *[50] * 6]], [3], 23),
        # Short epochs are measured until there is something to count; the fastest scoring counts.
        (5.0, [[30], [9], [2]], [8, 1, 3], 3),
        # An epoch of three is counted whole from the second on.
        (9.0, [[30, 9, 2], [4, 2, 2], [7, 7, 7]], [1, 1, 1], 3 * 10 / 4 + 1),
    ],
)
def test_the_pace_is_that_of_batches_behind_the_first_few(
    enough: float, batches: list[list[float]], scorings: list[float], epoch: float
) -> None:
    assert watched(enough, batches, scorings).epoch == pytest.approx(epoch)


@pytest.fixture
def quick(cfg: Compose) -> DictConfig:
    config: DictConfig = cfg(
        *("data.img_size=32", "data.batch_size=16", f"quick_validation.epochs={SHARES}"),
        *(f"quick_validation.folds={FOLDS}", "quick_validation.seconds=60", "logger=none"),
        *("model.name=test_vit", "+model.kwargs={depth: 1}"),
    )
    return config


def run(cfg: DictConfig, data: ImageSet, study: optuna.Study, folder: Path) -> RunningTrial:
    trial = RunningTrial(study, reserve(study, this_process()).number, prune=False)
    place = folder / str(trial.number)
    place.mkdir()
    with open_run_log(cfg, place, "study", trial.number) as log_to:
        quick_validation.cross_validate(cfg, data, trial, log_to, place)
    return trial


def test_a_trial_has_whole_schedules_of_as_many_epochs_as_fit(
    quick: DictConfig, blobs: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[float] = []

    def known(cfg: DictConfig, an_epoch: float, steps: int, once: float = 0.0) -> InTime:
        measured.append(an_epoch)
        assert steps == 2  # of 16 of the 45 images of a fold
        return InTime(EPOCHS, EPOCHS)

    monkeypatch.setattr(equal_time, "epochs_in_time", known)
    study = optuna.create_study(direction="maximize")
    run(quick, blobs, study, tmp_path)
    assert len(measured) == 1
    assert measured[0] > 0

    # The measuring has left no trace: it is the trial of so many epochs.
    quick.quick_validation.seconds, quick.quick_validation.epochs = None, EPOCHS
    run(quick, blobs, study, tmp_path)
    timed, plain = study.trials
    assert timed.user_attrs["curves"] == plain.user_attrs["curves"]
    assert timed.value == plain.value
    assert timed.user_attrs["workload"] == {**plain.user_attrs["workload"], "seconds": 60}
    # Compared after half of a fold and after a whole one.
    of_plain = plain.intermediate_values
    assert timed.intermediate_values == {
        fold * SHARES + share: of_plain[fold * EPOCHS + 2 * share + 1]
        for fold in range(FOLDS)
        for share in range(SHARES)
    }


@pytest.mark.parametrize(("pruning", "measured"), [("true", None), ("false", ())])
def test_what_is_measured_takes_the_statistics_of_most_epochs(
    cfg: Compose, monkeypatch: pytest.MonkeyPatch, pruning: str, measured: object
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(equal_time, "fit", lambda *_, **words: given.update(words))
    # Without Hydra's choices no pruner is known to wait for rungs.
    config = cfg("quick_validation.seconds=9", f"pruning.enabled={pruning}")
    nothing: Any = None
    equal_time._measure(config, nothing, nothing)
    assert given["decided_after"] == measured


def test_a_trial_goes_on_with_the_epochs_that_it_began_with(
    quick: DictConfig, blobs: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = SimpleNamespace(epoch=10.0, scoring=1.0, batches_an_epoch=2)
    trained: list[int] = []

    def until_the_second(*arguments: Any, **named: Any) -> FitResult:
        if trained and not study.trials[-1].user_attrs.get("continues", -1) >= 0:
            raise KeyboardInterrupt
        trained.append(named["max_epochs"])
        return fit(*arguments, **named)

    monkeypatch.setattr(equal_time, "_measure", lambda *_: watch)
    monkeypatch.setattr(quick_validation, "fit", until_the_second)
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial({"x": 1.0})
    with pytest.raises(KeyboardInterrupt):
        run(quick, blobs, study, tmp_path)
    interrupt(study, study.trials[0])
    requeue_interrupted(study)
    # Slower by now, as on another machine.
    watch.epoch = 30.0
    run(quick, blobs, study, tmp_path)
    # 60 s in two folds of epochs of 10 s, and the first fold was finished.
    assert trained == [3, 3]
    last = study.trials[-1]
    assert last.user_attrs[NOTE]["epochs"] == 3
    assert [len(curve) for curve in last.user_attrs["curves"]] == [3, 3]
    assert set(last.intermediate_values) == set(range(FOLDS * SHARES))
