"""All trials of a study train the same number of epochs, whatever their batches."""

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import create_trial

from doctune.space.record import record_space
from doctune.space.search_space import Branch, SearchSpace
from src.trial.length import largest_batch, length_in_study
from tests.conftest import Compose

# Of which 200 are trained on: 12 steps of 16, 3 of 64.
IMAGES = 300


@pytest.fixture
def study() -> optuna.Study:
    """Return a study that searches batches of 16 and 64."""
    study = optuna.create_study()
    batches: dict[str, BaseDistribution] = {
        "data.batch_size": CategoricalDistribution(("16", "64"))
    }
    record_space(study, SearchSpace({}, {(): Branch(batches)}))
    return study


def _searches(study: optuna.Study, batches: tuple[str, ...]) -> None:
    found: dict[str, BaseDistribution] = {"data.batch_size": CategoricalDistribution(batches)}
    record_space(study, SearchSpace({}, {(): Branch(found)}))


def test_every_batch_trains_as_long_as_the_largest(cfg: Compose, study: optuna.Study) -> None:
    for batch in (16, 64):
        config = cfg("hparams_search=fast", f"data.batch_size={batch}")
        assert length_in_study(study, config, IMAGES) == 15


def test_later_trials_follow_the_first(cfg: Compose, study: optuna.Study) -> None:
    config = cfg("hparams_search=fast")
    assert length_in_study(study, config, IMAGES) == 15
    batches: dict[str, BaseDistribution] = {
        "data.batch_size": CategoricalDistribution(("16", "32"))
    }
    record_space(study, SearchSpace({}, {(): Branch(batches)}))
    assert length_in_study(study, config, IMAGES) == 15
    # Unless something else is asked for, which a study refuses that must be comparable.
    other = cfg("hparams_search=fast", "quick_validation.min_steps=12")
    assert length_in_study(study, other, IMAGES) == 3


def test_a_study_that_was_begun_without_a_floor_goes_on_without(
    cfg: Compose, study: optuna.Study
) -> None:
    study.add_trial(create_trial(value=0.5, user_attrs={"workload": {"epochs": 9, "folds": 3}}))
    assert length_in_study(study, cfg("hparams_search=fast"), IMAGES) == 3


@pytest.mark.parametrize(
    ("searched", "largest"),
    [
        ({"data.batch_size": IntDistribution(8, 48)}, 48),
        ({"data.batch_size[resnet50]": CategoricalDistribution((24, 96))}, 96),
        ({"optimizer.lr": IntDistribution(1, 512)}, 32),
    ],
)
def test_the_largest_batch_of_a_study(searched: dict[str, BaseDistribution], largest: int) -> None:
    study = optuna.create_study()
    record_space(study, SearchSpace({}, {(): Branch(searched)}))
    assert largest_batch(study, 32) == largest
