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
from src.inference.onnx import TOLERANCE, largest_difference, write_onnx
from src.inference.predictor import Predictor, open_predictor
from src.inference.trained_model import TrainedModel
from src.training.backbone import create_backbone
from tests.conftest import Compose, Door
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
    assert float(facts["temperature"]) == pytest.approx(predictor.temperature, rel=1e-4)
    assert predictor.temperature != 1
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


def test_attention_with_positions(cfg: Compose, tmp_path: Path) -> None:
    config = cfg(
        *("model.name=beit_base_patch16_224", "data.img_size=32"),
        "+model.kwargs={depth: 1, embed_dim: 24, num_heads: 2}",
    )
    weights = create_backbone(config.model, 2, 32).state_dict()
    predictor = Predictor(
        [TrainedModel(config, ("a", "b"), (), weights)], [1.0], torch.device("cpu")
    )
    write_onnx(predictor, tmp_path / "model.onnx")
    assert largest_difference(predictor, tmp_path / "model.onnx") < TOLERANCE


def test_a_model_that_torch_cannot_write_is_told(
    door: Door, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise torch.onnx.OnnxExporterError("next steps") from ValueError("no view\nof it")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    said = door("src.predict", f"run={run_folder}", "export=onnx", code=1)
    assert "torch cannot write this model as ONNX (no view)" in said
    assert not list(run_folder.glob("*.part"))
