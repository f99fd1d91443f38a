"""Which training steps are counted, and which are known from others."""

import pytest

from src.training import forecast
from tests.conftest import Compose


def test_a_step_is_counted_again_where_the_optimizer_keeps_something_else(
    cfg: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a worker that runs trial after trial of one model."""
    monkeypatch.setattr(forecast, "_counted", {})
    monkeypatch.setattr(forecast, "count_footprint", lambda *_: object())
    plain, amsgrad, sgd, without, less = (
        forecast.footprint_of(cfg("model.name=test_vit", *words), 3)
        for words in (
            (),
            ("+optimizer.kwargs.amsgrad=true",),
            ("optimizer=sgd",),
            ("optimizer=sgd", "optimizer.kwargs.momentum=0.0"),
            ("optimizer=sgd", "optimizer.kwargs.momentum=0.5"),
        )
    )
    assert len({plain, amsgrad, sgd, without}) == 4
    assert less is sgd, "as much is kept, however large the momentum"
