"""The figures of a confirmation, without training."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from src.results.confirmation.judge import (
    Confirmation,
    compare,
    corrected_resampled_t,
    holm,
    load_confirmations,
)


def test_the_interval_is_the_plain_one_widened_for_shared_training_images() -> None:
    differences = [0.03, 0.01, 0.05, 0.02, 0.04, 0.03]
    found = corrected_resampled_t(differences, folds=3)
    assert found is not None
    plain = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert found.mean == pytest.approx(0.03)
    widened = (found.high - found.low) / (plain.high - plain.low)
    assert widened == pytest.approx(math.sqrt(1 + 6 / 2))
    one_sided = corrected_resampled_t(differences, folds=3, tails=1)
    assert one_sided is not None
    assert one_sided.p == pytest.approx(found.p / 2)


@pytest.mark.parametrize(
    ("differences", "clear"), [([0.1, 0.1], True), ([0.0, 0.0], False), ([0.1, -0.1], False)]
)
def test_few_and_equal_differences(differences: list[float], clear: bool) -> None:
    found = corrected_resampled_t(differences, folds=2)
    assert found is not None
    assert found.is_clear == clear
    assert corrected_resampled_t([0.1], folds=2) is None


def test_holm_never_lowers_and_keeps_the_order() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def confirmation(gain: float, noise: float, other_data: bool = False) -> Confirmation:
    rng = np.random.default_rng(0)
    base = (0.7 + rng.normal(0, 0.02, 9)).tolist()
    scores = {
        0: base,
        4: [value + gain + noise * (-1) ** i for i, value in enumerate(base)],
        7: [value - 0.1 for value in base],
    }
    contenders = compare(scores, {4: {"lr": 1.0}, 7: {"lr": 2.0}}, defaults=0, folds=3)
    return Confirmation(
        *("study", "abc", other_data, 9, 3, 3, 0, sum(base) / 9, contenders),
        test_winner=[0.8, 0.8],
        test_defaults=[0.7, 0.81],
    )


@pytest.mark.parametrize(
    ("gain", "noise", "said"),
    [
        (0.05, 0.005, "The gain holds: trial 4 is better, +0.0"),
        (0.03, 0.1, "Not certain: trial 4 is ahead by +0.0"),
        (-0.05, 0.005, "The gain does not hold: the best of the study has -0.0"),
    ],
)
def test_the_sentence_says_what_the_test_allows(gain: float, noise: float, said: str) -> None:
    found = confirmation(gain, noise)
    assert found.sentence.startswith(said)
    assert ("Stay with the defaults" in found.sentence) == (gain < 0)
    assert "9 fresh pairs" in found.sentence
    assert "0.8000 against 0.7550" in found.sentence
    assert "ahead with 1 of 2 seeds" in found.sentence
    assert [one.trial for one in found.contenders] == [4, 7]


def test_the_sentence_names_the_wear() -> None:
    worn = replace(confirmation(0.1, 0.001), wear="document")
    assert worn.sentence.endswith("Scored under quick_validation.wear=document.")
    assert "wear" not in confirmation(0.1, 0.001).sentence


def test_what_is_written_is_read_again_the_studys_own_data_first(tmp_path: Path) -> None:
    own, other = confirmation(0.05, 0.005), confirmation(0.05, 0.005, other_data=True)
    for name, one in (("confirm_abc", other), ("confirm", own)):
        (tmp_path / f"{name}.json").write_text(json.dumps(one.to_json()))
    assert load_confirmations(tmp_path) == [own, other]
    assert "on other data" in other.sentence


@pytest.mark.parametrize("text", ["", '{"study": "s', "[]", "{}", '{"contenders": [], "more": 1}'])
def test_a_file_that_holds_no_confirmation_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    own = confirmation(0.05, 0.005)
    (tmp_path / "confirm.json").write_text(json.dumps(own.to_json()))
    (tmp_path / "confirm_abc.json").write_text(text)
    assert load_confirmations(tmp_path) == [own]
    assert "confirm_abc.json: left out" in caplog.text
