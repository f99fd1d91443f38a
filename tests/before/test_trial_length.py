"""Where images are few, trials train more epochs."""

from types import SimpleNamespace

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from src.before.trial_length import (
    decided_after,
    epochs_in_time,
    epochs_of_trials,
    images_between,
    steps_an_epoch,
)
from tests.conftest import Compose


@pytest.mark.parametrize(
    ("images", "largest", "epochs"),
    [
        # 960 to train on in each of three folds: 15 steps of 64, and 3 x 15 are enough.
        (1440, 64, 3),
        (1440, 128, 7),
        # 200 to train on: 3 steps of 64, or 12 of 16.
        (300, 64, 15),
        (300, 16, 4),
        # Fewer images than a batch are one step.
        (60, 64, 45),
    ],
)
def test_all_trials_have_the_steps_of_the_largest_batch(
    cfg: Compose, images: int, largest: int, epochs: int
) -> None:
    config = cfg("hparams_search=fast")
    assert epochs_of_trials(config, images, largest) == epochs


def test_a_single_split_and_accumulation_have_other_steps(cfg: Compose) -> None:
    single = cfg("hparams_search=fast", "quick_validation.folds=1")
    # Four fifths of 300.
    assert steps_an_epoch(single, 300, 16) == 15
    slower = cfg("hparams_search=fast", "trainer.accumulate_grad_batches=4")
    # The last step has what is left.
    assert steps_an_epoch(slower, 300, 16) == 3


def choose(pruner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be what a search has chosen of hydra/sweeper/pruner."""
    known = SimpleNamespace(choices={"hydra/sweeper/pruner": pruner})
    monkeypatch.setattr(HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(HydraConfig, "get", lambda: SimpleNamespace(runtime=known))


@pytest.mark.parametrize(
    ("pruner", "words", "epochs", "between"),
    [
        # At the ends of folds; a single split once more before its own.
        ("promoted", (), (9,), 128),
        ("promoted", ("quick_validation.folds=1",), (6, 9), 128),
        # At a share of the time, which is no epoch that is known here.
        ("promoted", ("quick_validation.folds=1", "quick_validation.seconds=60"), None, 512),
        ("promoted", ("quick_validation.seconds=60",), (9,), 128),
        # After every epoch.
        ("median", (), None, 512),
        ("median", ("pruning.enabled=false",), (9,), 128),
        ("promoted", ("quick_validation.precise_bn=1000",), (9,), 512),
        ("promoted", ("trainer.precise_bn=0",), (9,), 0),
    ],
)
def test_statistics_are_over_fewer_images_where_no_trials_are_compared(
    cfg: Compose,
    monkeypatch: pytest.MonkeyPatch,
    pruner: str,
    words: tuple[str, ...],
    epochs: tuple[int, ...] | None,
    between: int,
) -> None:
    config = cfg("hparams_search=fast", *words)
    choose(pruner, monkeypatch)
    assert decided_after(config, 9) == epochs
    assert images_between(config) == between


def test_more_epochs_stay_and_the_floor_can_go(cfg: Compose) -> None:
    assert epochs_of_trials(cfg("hparams_search=ultimate"), 1440, 64) == 10
    none = cfg("hparams_search=fast", "quick_validation.min_steps=0")
    assert epochs_of_trials(none, 60, 64) == 3


def test_epochs_that_are_typed_stay(cfg: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hydra.core.hydra_config.HydraConfig.initialized", lambda: True)
    for typed, epochs in (
        (["quick_validation.epochs=3"], 3),
        (["quick_validation.epochs=3", "quick_validation.min_steps=45"], 15),
        (["quick_validation.folds=3"], 15),
    ):
        hydra = OmegaConf.create({"overrides": {"task": typed}})
        monkeypatch.setattr("hydra.core.hydra_config.HydraConfig.get", lambda found=hydra: found)
        assert epochs_of_trials(cfg("hparams_search=fast"), 300, 64) == epochs


@pytest.mark.parametrize(
    ("an_epoch", "steps", "epochs", "is_longer"),
    [
        # 20 s a fold: the nearest number, and not always the lower one.
        (5.0, 15, 4, False),
        (5.5, 15, 4, False),
        (7.5, 15, 3, False),
        # The floor of 45 steps takes longer than the time.
        (5.0, 9, 5, True),
        (90.0, 100, 1, True),
    ],
)
def test_a_trial_of_equal_time_has_the_epochs_that_fit(
    cfg: Compose, an_epoch: float, steps: int, epochs: int, is_longer: bool
) -> None:
    config = cfg("hparams_search=fast", "quick_validation.seconds=60")
    found = epochs_in_time(config, an_epoch, steps)
    assert (found.epochs, found.is_longer) == (epochs, is_longer)
    # What is scored once a fold takes its time too: half of it here.
    if not is_longer:
        assert epochs_in_time(config, an_epoch, 100, once=10.0).epochs == round(10 / an_epoch)
