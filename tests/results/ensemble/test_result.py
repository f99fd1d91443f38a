"""The sentences about an ensemble that was built."""

import pytest

from src.results.ensemble.result import _calibrated


@pytest.mark.parametrize(("after", "worse"), [(1.5, False), (2.012, True)])
def test_a_temperature_that_does_harm_is_told(after: float, worse: bool) -> None:
    facts = {"temperature": 0.63, "error": [0.087, 0.193], "log_loss": [1.961, after]}
    (said,) = _calibrated({"calibration": {"plain": facts, "tta": None}})
    assert "8.7 percentage points" in said
    assert said.endswith("calibrated=false writes the former.") == worse
    assert said.endswith("src.predict writes the latter.") != worse
