"""The exported file, run by onnxruntime alone."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from src.data.config import DataConfig
from src.data.load import load_splits
from src.inference.predictor import open_predictor
from tests.conftest import Door
from tests.trained_run import coloured


def test_onnxruntime_gives_the_same_on_real_pages_in_any_batch(
    door: Door, run_folder: Path, cache_dir: Path
) -> None:
    said = door("src.predict", f"run={run_folder}", "export=onnx")
    path = run_folder / "model.onnx"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    predictor = open_predictor(run_folder, "cpu")
    data = DataConfig(n_images=480, img_size=32, cache_dir=str(cache_dir))
    pages = load_splits(data).test.images.transpose(0, 3, 1, 2)
    for images in (pages, pages[:1], coloured(7, 32).images.transpose(0, 3, 1, 2)):
        images = np.ascontiguousarray(images)
        (theirs,) = session.run(None, {"images": images})
        ours = predictor.probabilities({predictor.formats[0]: torch.from_numpy(images)})
        np.testing.assert_allclose(theirs, ours.numpy(), atol=1e-5)
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["classes"]) == ["red", "green", "blue"]
    assert (facts["image_size"], facts["fit"]) == ("32", "pad")
    assert "uint8 [N, 3, 32, 32]" in said
    assert "the same within" in said


def test_a_missing_package_is_named_with_the_extra(
    door: Door, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *_: None if name == "onnxscript" else found(name, *_),
    )
    said = door("src.predict", f"run={run_folder}", "export=onnx", code=1)
    assert "onnxscript not installed; pip install 'doctune[onnx]'" in said
