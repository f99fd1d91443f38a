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
    [
        (None, None, 1.0),
        ({"margin": 0.3}, None, 0.3),
        ({"margin": 0.3}, 0.7, 0.7),
        # More views helped on no page.
        ({"margin": 0.0}, None, 0.0),
    ],
)
def test_the_margin_is_the_one_that_the_ensemble_found(
    run_folder: Path, tmp_path: Path, kept: Any, given: float | None, expected: float
) -> None:
    members = [{"run": str(run_folder), "weight": 1.0}]
    (tmp_path / ENSEMBLE).write_text(json.dumps({"members": members, "tta": kept}))
    opened = open_predictor(tmp_path, "cpu", tta=True, tta_margin=given)
    assert opened.tta_margin == expected
    assert open_predictor(tmp_path, "cpu").tta_margin == 0


@pytest.mark.parametrize(
    ("kept", "tta", "expected"),
    [
        (None, False, 1.0),
        ({"plain": {"temperature": 1.4}, "tta": None}, False, 1.4),
        ({"plain": {"temperature": 1.4}, "tta": None}, True, 1.4),
        ({"plain": {"temperature": 1.4}, "tta": {"temperature": 0.8}}, True, 0.8),
    ],
)
def test_the_temperature_of_an_ensemble_is_that_of_the_mean(
    run_folder: Path, tmp_path: Path, kept: Any, tta: bool, expected: float
) -> None:
    members = [{"run": str(run_folder), "weight": 1.0}]
    facts = {"members": members, "calibration": kept, "tta": {"margin": 0.3}}
    (tmp_path / ENSEMBLE).write_text(json.dumps(facts))
    opened = open_predictor(tmp_path, "cpu", tta=tta)
    assert opened.temperature == expected
    assert open_predictor(tmp_path, "cpu", tta=tta, calibrated=False).temperature == 1
    shares = torch.tensor([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])
    hot = (shares ** (1 / expected)).div((shares ** (1 / expected)).sum(1, keepdim=True))
    torch.testing.assert_close(opened.calibrated(shares), hot)
