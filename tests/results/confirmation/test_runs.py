"""What a confirmation scores, without training."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from src.data.image_set import ImageSet
from src.data.splits import Splits
from src.results.confirmation import runs
from src.results.confirmation.plan import Run
from tests.conftest import Compose

FOLD = Run(0, "folds", 1, 0, 0, 0, 3, 1, "abc")
TEST = replace(FOLD, kind="test")


@pytest.mark.parametrize(
    ("words", "worn"),
    [
        ((), (False, False)),
        (("quick_validation.wear={half_turn:1}",), (True, True)),
        # Test pages that come worn are not worn again.
        (("quick_validation.wear={half_turn:1}", "data.wear_test=phone"), (True, False)),
    ],
    ids=["clean", "worn", "worn already"],
)
def test_runs_are_scored_under_the_wear_of_the_study(
    cfg: Compose,
    blobs: ImageSet,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    worn: tuple[bool, bool],
) -> None:
    blobs.pixels[:, 0, 0] = 7  # a corner that a half turn takes elsewhere
    train, val, test = (blobs.subset(np.arange(i, 90, 3)) for i in range(3))
    splits = Splits(train, val, test)
    scored: list[ImageSet] = []

    def fit(config: Any, train: ImageSet, val: ImageSet, **_: Any) -> Any:
        assert (train.images[:, 0, 0] == 7).all()
        scored.append(val)
        return SimpleNamespace(f1=0.5)

    def evaluate(result: Any, images: ImageSet, config: Any) -> Any:
        scored.append(images)
        return SimpleNamespace(f1=0.4)

    monkeypatch.setattr(runs, "load_splits", lambda data: splits)
    monkeypatch.setattr("src.training.fit.fit", fit)
    monkeypatch.setattr("src.training.evaluate.evaluate", evaluate)
    config = cfg("data.img_size=32", "data.batch_size=8", *words)
    assert runs._train((FOLD, config)) == 0.5
    assert runs._train((TEST, config)) == 0.4
    moved = [not (images.images[:, 0, 0] == 7).all() for images in scored]
    assert moved == [worn[0], worn[0], worn[1]]
