"""A search whose trials should have taken the same time says so where they did not."""

from typing import Any

import pytest
from optuna.trial import TrialState, create_trial

from doctune.errors import UserError
from src.results.confirmation.plan import _trained
from src.results.summary import summarize
from src.results.unequal_time import unequal_time
from tests.conftest import Compose
from tests.results.example_study import make_study


@pytest.mark.parametrize(
    ("seconds", "took", "is_longer", "told"),
    [
        (None, [1, 100], False, []),
        (10, [7, 9, 14], False, []),
        (10, [10, 10, 10, 10, 30], False, []),
        (10, [10, 4, 10, 30], False, ["2 of 4 trials took from 4 to 30 s", "=10:"]),
        (10, [20, 50], True, ["2 of 2 trials took longer", "=10,", "min_steps"]),
    ],
)
def test_it_is_told_which_trials_did_not_cost_the_same(
    seconds: float | None, took: list[float], is_longer: bool, told: list[str]
) -> None:
    study = make_study(complete=0)
    study.set_user_attr("settings", {"quick_validation.seconds": seconds})
    for each in took:
        noted: dict[str, Any] = {"train_seconds": each, "epochs": 9}
        noted["epochs_in_time"] = {"is_longer": is_longer}
        study.add_trial(create_trial(state=TrialState.COMPLETE, value=0.5, user_attrs=noted))
    said = unequal_time(summarize(study))
    assert len(said) == bool(told)
    assert all(words in " ".join(said) for words in told)


def test_words_and_keys_are_those_of_equal_time() -> None:
    study = make_study(complete=3)
    found = summarize(study)
    assert (found.in_steps(4), found.length_key) == ("4 epochs", "quick_validation.epochs")
    study.set_user_attr("settings", {"quick_validation.seconds": 60.0})
    found = summarize(study)
    assert found.in_steps(4) == "4 equal shares of the time"
    assert found.length_key == "quick_validation.seconds"


def test_a_confirmation_asks_for_the_epochs_that_trials_do_not_share(cfg: Compose) -> None:
    study = make_study(complete=1)
    best = study.trials[0]
    best.user_attrs["epochs_in_time"] = {"epochs": 7}
    assert _trained(study, best, cfg("quick_validation.epochs=5")) == 5
    with pytest.raises(UserError, match=r"give those of a fold, as in epochs=7 that trial 0"):
        _trained(study, best, cfg("quick_validation.seconds=60"))
