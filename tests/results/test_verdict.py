"""Whether a gain is told as one, and which trial is trained with."""

import optuna
import pytest

from src.results.advice import advice
from src.results.confirmation.full_length import FullLength
from src.results.confirmation.judge import Confirmation, Contender
from src.results.summary import summarize
from src.results.verdict import in_full_sentence, trial_to_train, verdict
from tests.results.example_study import make_study


@pytest.mark.parametrize(
    ("noise", "headline"),
    [(1e-4, "Better than the defaults by 0."), (0.15, "Perhaps better than the defaults")],
)
def test_the_verdict_weighs_the_gain_against_the_folds(noise: float, headline: str) -> None:
    found = summarize(make_study(complete=12, noise=noise))
    assert found.gain is not None
    assert found.gain.low < found.gain.mean < found.gain.high
    assert verdict(found).headline.startswith(headline)


def test_that_the_defaults_may_catch_up_in_a_full_training_is_said() -> None:
    study = make_study(complete=12)
    # Of three folds with four reports in all; an older study does not know of full ones.
    for in_full, said in ((None, False), (1, False), (15, True)):
        if in_full:
            study.set_user_attr("epochs_in_full", in_full)
        told = in_full_sentence(summarize(study))
        assert bool(told) is said
    assert told.startswith("Trials trained 1 epoch a fold, a full training has 15 (trainer.max_ep")
    assert "src.confirm" in told
    assert "ahead no more" not in in_full_sentence(summarize(make_study(complete=1)))
    # As long as nobody knows, a gain of short trials is not called one.
    unknown = verdict(summarize(study))
    assert unknown.headline.startswith("Better than the defaults by 0.")
    assert unknown.headline.endswith(" after 1 epoch")
    assert unknown.tone == "unsure"
    winner = Contender(3, {}, 0.9, 0.05, 0.02, 0.08, 0.001)
    same = ("study", "documents", False, 9, 3, 5)
    for ours, headline in (
        ([0.99, 1.0], "Confirmed: better than the defaults by 0.0500"),
        ([0.97, 0.98], "Better after 5 epochs alone"),
    ):
        one = Confirmation(*same, 0, 0.85, [winner], ours, [0.98, 0.97])
        assert verdict(summarize(study), [one]).headline == headline
        assert ("in full it does not" in one.sentence) is headline.startswith("Better")
        assert not in_full_sentence(summarize(study), [one])


@pytest.mark.parametrize(
    ("ours", "theirs", "headline", "tone"),
    [
        ((0.90, 0.91, 0.92), (0.80, 0.81, 0.81), "Better than the defaults by 0.1033", "good"),
        ((0.90, 0.70, 0.92), (0.80, 0.81, 0.81), "Perhaps better than the defaults", "unsure"),
        # Of one fold alone nobody knows how sure it is.
        ((0.90,), (0.80,), "Perhaps better than the defaults", "unsure"),
        ((0.9962, 0.9954), (0.9960, 0.9958), "Better after 1 epoch alone", "unsure"),
        ((0.80,), (0.80,), "Better after 1 epoch alone", "unsure"),
    ],
)
def test_what_full_trainings_say_goes_before_what_trials_did(
    ours: tuple[float, ...], theirs: tuple[float, ...], headline: str, tone: str
) -> None:
    study = make_study(complete=12)
    study.set_user_attr("epochs_in_full", 15)
    best = summarize(study).ranked[0].number
    FullLength(best, 0, 15, 3, ours, theirs).keep(study)
    found = summarize(study)
    said = verdict(found)
    assert said.headline.startswith(headline)
    assert said.tone == tone
    assert f"trial {best} has {sum(ours) / len(ours):.4f}" in said.detail
    assert "Trained in full (15 epochs) on the " in said.detail
    assert "After 1 epoch they had score 0." in said.detail
    assert not in_full_sentence(found)
    chosen = trial_to_train(found, [])
    assert chosen is not None
    assert (chosen is found.defaults) is headline.endswith("alone")
    assert ("the defaults are what to train with" in said.detail) is (chosen is found.defaults)
    # What was trained for another number of epochs, or of another trial, says nothing.
    study.set_user_attr("epochs_in_full", 30)
    assert in_full_sentence(summarize(study))
    study.set_user_attr("epochs_in_full", 15)
    FullLength(best + 1, 0, 15, 3, ours, theirs).keep(study)
    assert in_full_sentence(summarize(study))


def test_two_folds_say_nothing_about_how_sure_a_gain_is() -> None:
    study = make_study(complete=12, noise=0.1)
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


def test_the_best_that_is_behind_on_no_fold_is_chosen_and_the_page_says_so() -> None:
    study = make_study(complete=12)
    lucky = study.trials[5]
    lucky.user_attrs["folds"], lucky.values = [0.99, 0.99, 0.1], [0.9]
    changed = optuna.create_study(study_name="luck", direction="maximize")
    changed.add_trials([*study.trials[:5], lucky, *study.trials[6:]])
    found = summarize(changed)
    assert found.best is not None
    assert found.best.number != 5
    assert found.ranked[1].number == 5
    said = verdict(found).detail
    assert "behind the defaults on no fold (optuna.choose_by=each_fold)" in said
    assert "the highest, 0.9000 in trial 5, is behind them on fold 3" in said
    changed.set_user_attr("choose", {"by": "mean", "rule": "tolerance", "tolerance": 0.01})
    found = summarize(changed)
    assert found.best is not None
    assert found.best.number == 5
    assert "choose_by" not in verdict(found).detail


def test_where_every_better_mean_is_behind_on_a_fold_nothing_was_gained() -> None:
    found = summarize(make_study(complete=12, noise=0.35))
    assert found.best is found.defaults
    said = verdict(found)
    assert said.headline == "Nothing was gained"
    assert f"{found.highest.values[0]:.4f}, in trial {found.highest.number}, and is" in said.detail
    assert "optuna.choose_by=mean takes the best mean" in said.method
    # The page's own words on what to train with follow.
    chosen = trial_to_train(found, [])
    assert chosen is found.defaults


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
