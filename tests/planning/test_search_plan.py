"""What pruning is expected to save, and what scoring costs."""

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from src.hardware.speed import step_time
from src.planning.trial_time import Saving, expected_saving, length_of_trial, trial_seconds
from src.training.fit import scored_at_a_time
from src.training.forecast import footprint_of
from tests.conftest import Compose


@pytest.mark.parametrize(
    ("pruner", "patience", "saved"),
    [
        *(("median", 3, 0.3), ("percentile", 3, 0.45), ("median", 12, 0), ("patient", 3, 0)),
        # At the end of the first fold of 5 epochs, or of the second.
        *(("promoted", 3, 0.325), ("promoted", 5, 0.325), ("promoted", 6, 0)),
    ],
)
def test_a_guess_is_what_the_pruner_can_save(
    cfg: Compose, pruner: str, patience: int, saved: float
) -> None:
    config = cfg("quick_validation.epochs=5", "quick_validation.folds=2")
    way = {"pruner": pruner, "patience": patience}
    assert expected_saving(config, way, []) == Saving(pytest.approx(saved))  # type: ignore[arg-type]


@pytest.mark.parametrize(("patience", "saved"), [(3, 0.65 / 3), (6, 0.65 / 3), (7, 0)])
def test_of_a_single_split_a_third_can_be_saved(cfg: Compose, patience: int, saved: float) -> None:
    config = cfg("quick_validation.epochs=9", "quick_validation.folds=1")
    found = expected_saving(config, {"pruner": "promoted", "patience": patience}, [])
    assert found.share == pytest.approx(saved)


def test_without_pruning_nothing_is_saved(cfg: Compose) -> None:
    assert expected_saving(cfg(), None, []) == Saving(0)


WAY = {"pruner": "median", "patience": 3}


def trial_that_trained(epochs: int, number: int, of: int = 9) -> FrozenTrial:
    pruned = epochs < of
    trial = create_trial(
        state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
        value=None if pruned else 0.5,
        user_attrs={
            **{"workload": {"epochs": of, "pruning": WAY}, "epochs": epochs},
            "stopped": "pruner" if pruned else None,
        },
    )
    trial.number = number
    return trial


def test_earlier_searches_know_better(cfg: Compose) -> None:
    config = cfg("pruning.n_startup_trials=5", "quick_validation.epochs=3")
    first = [trial_that_trained(9, number) for number in range(5)]
    later = [trial_that_trained(9 if number % 2 else 6, number) for number in range(5, 15)]
    others = [trial_that_trained(30, number, of=30) for number in range(10, 30)]
    measured = expected_saving(config, WAY, [*first, *later, *others])
    assert measured.share == pytest.approx(1 / 6)
    assert measured.trials == 10
    assert expected_saving(config, WAY, [*first, *later[1:], *others]).trials == 0


def test_pages_scored_under_wear_cost_their_scoring(cfg: Compose) -> None:
    words = ("quick_validation.epochs=3", "quick_validation.folds=2", "data.batch_size=16")
    plain = cfg(*words, "data.img_size=32")
    footprint = footprint_of(plain, 3)
    image = step_time(footprint, scored_at_a_time(plain, 16), plain.gpu).forward

    def seconds(*more: str) -> float:
        return trial_seconds(cfg(*words, "data.img_size=32", *more), footprint, 128, 6)

    # 64 pages a fold in 2 batches: once more as they are in each, and every epoch once a draw.
    worn = seconds("quick_validation.wear=light")
    assert worn - seconds() == pytest.approx(2 * 2 * image)
    twice = seconds("quick_validation.wear=light", "quick_validation.wear_draws=2")
    assert twice - worn == pytest.approx(6 * 2 * image)


def test_trials_of_equal_time_are_planned_with_their_own_epochs(cfg: Compose) -> None:
    words = ("quick_validation.folds=2", "data.img_size=32", "data.batch_size=16")
    plain = cfg(*words, "quick_validation.epochs=10")
    footprint = footprint_of(plain, 3)
    epochs, seconds = length_of_trial(plain, footprint, 1280, None, 1.0)
    assert epochs == 10
    assert seconds == pytest.approx(trial_seconds(plain, footprint, 1280, 20))
    timed = cfg(*words, f"quick_validation.seconds={seconds}", "quick_validation.epochs=3")
    found = [length_of_trial(timed, footprint, 1280, None, factor) for factor in (1.0, 2.0)]
    # On a machine of half the speed half as many epochs take the same time.
    assert [epochs for epochs, _ in found] == [10, 5]
    assert [each for _, each in found] == pytest.approx([seconds, seconds])


def test_what_pruning_saves_is_known_from_trials_of_the_same_time(cfg: Compose) -> None:
    config = cfg("pruning.n_startup_trials=0", "quick_validation.seconds=60")
    timed = [trial_that_trained(number, number, of=2 * number) for number in range(1, 11)]
    assert expected_saving(config, WAY, timed).trials == 0
    for trial in timed:
        trial.user_attrs["workload"]["seconds"] = 60
    # Half of the time, whatever the epochs.
    assert expected_saving(config, WAY, timed) == Saving(pytest.approx(0.5), 10)  # type: ignore[arg-type]
    assert expected_saving(cfg("quick_validation.epochs=3"), WAY, timed).trials == 0
