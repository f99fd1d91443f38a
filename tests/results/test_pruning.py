"""Whether pruning was right, in words."""

from src.results.advice import advice
from src.results.pruning import was_it_safe
from src.results.summary import summarize
from tests.results.example_study import make_study


def test_a_search_says_whether_its_pruning_was_right() -> None:
    found = summarize(make_study(complete=12, pruned=4))
    said = was_it_safe(found)
    assert "After 1 epoch" in said
    assert "12 complete trials was much like that of the end" in said
    assert "tau +1.00" in said
    assert was_it_safe(summarize(make_study(complete=12))) == ""
    assert was_it_safe(summarize(make_study(complete=3, pruned=4))) == ""


def test_pruning_that_does_harm_is_advised_against() -> None:
    study = make_study(complete=12, pruned=4)
    assert "Pruning may do harm" not in " ".join(advice(summarize(study), {}, False))
    turned = make_study(complete=0)
    for trial in study.get_trials():
        values = trial.intermediate_values
        if trial.values:
            values[0] = 0.6 - values[0]
        turned.add_trial(trial)
    said = " ".join(advice(summarize(turned), {}, False))
    assert "Pruning may do harm. After 1 epoch" in said
    assert "Set pruning.patience=1 in the next study" in said
