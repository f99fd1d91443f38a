"""One search over three model families is no worse than a search for each."""

from statistics import fmean

import pytest

from tests.benchmarks.families import BEST, regrets


# Three searches are replayed; the benchmark has thirty seeds.
@pytest.mark.thorough
def test_one_search_over_three_families_is_no_worse_than_three() -> None:
    """With equally many trials; the seeds are fixed, so the outcome is, too."""
    together, apart = regrets(range(3))
    assert fmean(together) <= 1.1 * fmean(apart)
    assert fmean(together) < 0.02 * BEST
