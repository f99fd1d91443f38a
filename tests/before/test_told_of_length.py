"""What is told of how long trials train."""

import pytest

from src.before.told_of_length import told_if_longer, told_if_never_pruned, told_if_timed
from src.before.trial_length import epochs_of_trials
from tests.before.test_trial_length import choose
from tests.conftest import Compose


@pytest.mark.parametrize(
    ("images", "largest", "epochs"), [(1440, 64, 3), (1440, 128, 7), (60, 64, 45)]
)
def test_more_epochs_are_told(cfg: Compose, images: int, largest: int, epochs: int) -> None:
    told = told_if_longer(cfg("hparams_search=fast"), images, largest)
    assert (told is None) == (epochs == 3)
    assert told is None or f"trials train {epochs} epochs a fold and not 3" in told


@pytest.mark.parametrize(
    ("words", "epochs", "said"),
    [
        (("quick_validation.folds=3",), 3, None),
        (("quick_validation.folds=2", "pruning.patience=7"), 5, "after 5 at the latest"),
        # A single split is compared after two thirds.
        (("quick_validation.folds=1",), 5, None),
        (("quick_validation.folds=1",), 3, "pruning.patience=3: trials of 1 fold of 3 epochs are"),
        (("quick_validation.folds=1", "pruning.patience=2"), 3, None),
        (("quick_validation.folds=1",), 1, "pruning.enabled=true: trials of 1 fold of 1 epoch are"),
        (("quick_validation.folds=1", "pruning.enabled=false"), 1, None),
    ],
)
def test_it_is_told_where_no_trial_can_be_ended_early(
    cfg: Compose,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    epochs: int,
    said: str | None,
) -> None:
    config = cfg("hparams_search=fast", *words)
    for pruner, expected in (("promoted", said), ("median", None)):
        choose(pruner, monkeypatch)
        told = told_if_never_pruned(config, epochs)
        assert (told is None) is (expected is None)
        assert expected is None or expected in str(told)


def test_of_equal_time_no_epochs_are_told_but_shares(cfg: Compose) -> None:
    config = cfg("hparams_search=fast", "quick_validation.seconds=60")
    assert epochs_of_trials(config, 60, 64) == 3
    assert told_if_longer(config, 60, 64) is None
    told = told_if_timed(config)
    assert told is not None
    assert "quick_validation.seconds=60" in told
    assert "3 equal shares" in told
    assert told_if_timed(cfg("hparams_search=fast")) is None
