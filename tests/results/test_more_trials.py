"""What more trials would gain, in words."""

import dataclasses

from doctune.study.expected_gain import ExpectedGain
from src.results.more_trials import more_trials
from src.results.summary import summarize
from tests.results.example_study import make_study


def test_a_search_of_enough_trials_says_what_more_would_gain() -> None:
    found = summarize(make_study(complete=16, pruned=4))
    assert found.expected is not None
    said = more_trials(found)
    assert "10 more trials of this search are expected to gain 0." in said
    assert "the chance that one of them is the best is " in said
    little = dataclasses.replace(found, expected=ExpectedGain(10, 0.0004, 0.05))
    assert "gain less than 0.001 in score; the chance that one of them is the best is 5%" in (
        more_trials(little)
    )
    assert more_trials(summarize(make_study(complete=6))) == ""
