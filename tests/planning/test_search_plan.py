"""What pruning is expected to save."""

import pytest

from src.planning.search_plan import expected_saving
from tests.conftest import Compose


@pytest.mark.parametrize(
    ("patience", "epochs", "saved"),
    [(3, 10, 0.6), (5, 10, 0.4), (10, 10, 0.2), (4, 10, 0.5), (1, 10, 0.6), (40, 30, 0.2)],
)
def test_it_is_the_guides(cfg: Compose, patience: int, epochs: int, saved: float) -> None:
    config = cfg(f"pruning.patience={patience}", f"quick_validation.epochs={epochs}")
    assert expected_saving(config) == pytest.approx(saved)


def test_patience_longer_than_a_trial_saves_nothing(cfg: Compose) -> None:
    assert expected_saving(cfg("pruning.patience=9", "quick_validation.epochs=3")) == 0
    assert expected_saving(cfg("pruning.enabled=false")) == 0
