"""Several views of the pages whose prediction is unsure, and what they cost."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from src.inference.config import ENSEMBLE
from src.inference.predictor import Predictor, open_predictor
from src.inference.trained_model import load_run


def test_unsure_pages_alone_are_seen_in_several_views(run_folder: Path) -> None:
    model = load_run(run_folder)
    images = torch.randint(0, 256, (9, 3, model.format.size, model.format.size)).to(torch.uint8)

    def predict(margin: float) -> tuple[torch.Tensor, int]:
        predictor = Predictor([model, model], [0.25, 0.75], torch.device("cpu"), margin)
        return predictor.with_cost({model.format: images})

    plain, none = predict(0.0)
    everything, every = predict(1.0)
    assert (none, every) == (0, 9)
    with torch.inference_mode():
        torch.testing.assert_close(plain, model(images))
        torch.testing.assert_close(everything, model(images, tta=True))
    assert not torch.allclose(plain, everything)
    first, second = plain.topk(2).values.T
    between = float((first - second).median()) + 1e-6
    some, count = predict(between)
    wanted = (first - second) < between
    assert count == int(wanted.sum()) == 5
    torch.testing.assert_close(some, torch.where(wanted[:, None], everything, plain))


@pytest.mark.parametrize(
    ("kept", "given", "expected"),
    [(None, None, 1.0), ({"margin": 0.3}, None, 0.3), ({"margin": 0.3}, 0.7, 0.7)],
)
def test_the_margin_is_the_one_that_the_ensemble_found(
    run_folder: Path, tmp_path: Path, kept: Any, given: float | None, expected: float
) -> None:
    members = [{"run": str(run_folder), "weight": 1.0}]
    (tmp_path / ENSEMBLE).write_text(json.dumps({"members": members, "tta": kept}))
    opened = open_predictor(tmp_path, "cpu", tta=True, tta_margin=given)
    assert opened.tta_margin == expected
    assert open_predictor(tmp_path, "cpu").tta_margin == 0
