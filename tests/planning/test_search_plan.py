"""What pruning is expected to save."""

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from src.planning.pruning import Saving, expected_saving
from tests.conftest import Compose


@pytest.mark.parametrize(
    ("patience", "epochs", "saved"),
    [(3, 10, 0.6), (5, 10, 0.4), (10, 10, 0.2), (4, 10, 0.5), (1, 10, 0.6), (40, 30, 0.2)],
)
def test_it_is_the_guides(cfg: Compose, patience: int, epochs: int, saved: float) -> None:
    config = cfg(f"pruning.patience={patience}", f"quick_validation.epochs={epochs}")
    assert expected_saving(config, []).share == pytest.approx(saved)


def test_patience_longer_than_a_trial_saves_nothing(cfg: Compose) -> None:
    assert expected_saving(cfg("pruning.patience=9", "quick_validation.epochs=3"), []) == Saving(0)
    assert expected_saving(cfg("pruning.enabled=false"), []) == Saving(0)


def trial_that_trained(epochs: int, number: int, of: int = 9) -> FrozenTrial:
    pruned = epochs < of
    trial = create_trial(
        state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
        value=None if pruned else 0.5,
        user_attrs={
            **{"workload": {"epochs": of, "pruning": None}, "epochs": epochs},
            "stopped": "pruner" if pruned else None,
        },
    )
    trial.number = number
    return trial


def test_earlier_searches_know_better_than_the_guide(cfg: Compose) -> None:
    config = cfg("pruning.patience=3", "pruning.n_startup_trials=5", "quick_validation.epochs=3")
    first = [trial_that_trained(9, number) for number in range(5)]
    later = [trial_that_trained(9 if number % 2 else 6, number) for number in range(5, 15)]
    others = [trial_that_trained(30, number, of=30) for number in range(10, 30)]
    measured = expected_saving(config, [*first, *later, *others])
    assert measured.share == pytest.approx(1 / 6)
    assert measured.trials == 10
    assert expected_saving(config, [*first, *later[1:], *others]).trials == 0
