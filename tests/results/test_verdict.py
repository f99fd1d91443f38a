"""Whether a gain is told as one, and which trial is trained with."""

import optuna
import pytest

from src.results.advice import advice
from src.results.confirmation.judge import Confirmation, Contender
from src.results.summary import summarize
from src.results.verdict import trial_to_train, verdict
from tests.results.example_study import make_study


@pytest.mark.parametrize(
    ("noise", "headline"),
    [(1e-4, "Better than the defaults by 0."), (0.4, "Perhaps better than the defaults")],
)
def test_the_verdict_weighs_the_gain_against_the_folds(noise: float, headline: str) -> None:
    found = summarize(make_study(complete=12, noise=noise))
    assert found.gain is not None
    assert found.gain.low < found.gain.mean < found.gain.high
    assert verdict(found).headline.startswith(headline)


def test_two_folds_say_nothing_about_how_sure_a_gain_is() -> None:
    study = make_study(complete=12, noise=0.4)
    few = optuna.create_study(study_name="few", direction="maximize")
    for trial in study.trials:
        trial.user_attrs["folds"] = trial.user_attrs["folds"][:2]
        few.add_trial(trial)
    found = summarize(few)
    assert found.gain is None
    assert "over the defaults" in verdict(found).headline
    assert "src.confirm study=few" in verdict(found).method
    said = " ".join(advice(found, {}, confirmed=False))
    assert "2 folds say nothing about how sure the gain is" in said
    assert "quick_validation.folds=3" in said


@pytest.mark.parametrize(("gains", "number"), [([0.2, -0.1], 4), ([-0.2, -0.1], 0), ([], None)])
def test_what_is_trained_with_follows_the_fresh_runs(
    gains: list[float], number: int | None
) -> None:
    found = summarize(make_study(complete=12))
    best = found.ranked[0].number
    assert best not in (0, 4)
    fresh = []
    if gains:
        contenders = [
            Contender(trial, {}, 0.5 + gain, gain, gain - 0.3, gain + 0.3, 0.5)
            for trial, gain in zip((4, best), gains, strict=True)
        ]
        fresh = [Confirmation("s", "abc", False, 9, 3, 3, 0, 0.5, contenders)]
    chosen = trial_to_train(found, fresh)
    assert chosen is not None
    assert chosen.number == (best if number is None else number)
