"""A gain on the same images, told from chance."""

import numpy as np

from src.results.ensemble.scoring import paired_gain
from tests.results.test_selection import model


def test_a_gain_has_an_interval_that_tells_chance_from_more() -> None:
    labels = np.arange(300) % 3
    good = model(labels, list(range(280)), sure=0.9)
    poor = model(labels, list(range(200)), sure=0.9)
    clear = paired_gain(good, poor, labels)
    assert 0 < clear.low < clear.mean < clear.high
    same = paired_gain(good, good, labels)
    assert (same.mean, same.low, same.high) == (0, 0, 0)
