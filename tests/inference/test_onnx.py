"""The exported file, run by onnxruntime alone."""

import importlib.util
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from omegaconf import DictConfig
from rich.console import Console
from torch import Tensor, nn

from doctune.errors import UserError
from src.data.config import DataConfig
from src.data.load import load_splits
from src.inference import onnx
from src.inference.config import PredictConfig
from src.inference.onnx import TOLERANCE, largest_difference, write_onnx
from src.inference.predictor import Predictor, open_predictor
from src.inference.trained_model import ImageFormat, TrainedModel
from src.training.backbone import create_backbone
from tests.conftest import Compose, Door
from tests.trained_run import coloured


# Of a file and the door that writes it, below; on real pages, and of a network.
@pytest.mark.thorough
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


@pytest.mark.parametrize(
    ("formats", "told"),
    [
        (((32, "pad"), (48, "pad"), (48, "stretch")), "of different sizes (32, 48)"),
        (((32, "pad"), (32, "stretch")), "made square in different ways (data.fit=pad, stretch)"),
    ],
)
def test_members_that_take_other_images_are_told_in_what(
    monkeypatch: pytest.MonkeyPatch, formats: tuple[tuple[int, str], ...], told: str
) -> None:
    members = SimpleNamespace(formats=[ImageFormat(*each) for each in formats])
    monkeypatch.setattr(onnx, "open_predictor", lambda *_, **__: members)
    with pytest.raises(UserError, match=re.escape(f"run=x: its members take images {told}; exp")):
        onnx.export(PredictConfig(run="x", export="onnx"), Console(quiet=True))


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


def predictor_of(config: DictConfig) -> Predictor:
    """Return a model without training, for images of `data.img_size`."""
    weights = create_backbone(config.model, 2, config.data.img_size).state_dict()
    model = TrainedModel(config, ("a", "b"), (), weights)
    return Predictor([model], [1.0], torch.device("cpu"))


@pytest.fixture
def over_windows(cfg: Compose) -> Predictor:
    """Return a model whose queries have five dimensions, which torch's exporter refuses."""
    small = "{stages: [1, 1], embed_dim: 8, q_pool: 1, mask_unit_size: [4, 4]}"
    return predictor_of(
        cfg("model.name=hiera_tiny_224", "data.img_size=64", f"+model.kwargs={small}")
    )


def fused_in(predictor: Predictor) -> list[bool]:
    parts = predictor.members[0].modules()
    return [bool(part.fused_attn) for part in parts if "fused_attn" in vars(part)]


@pytest.mark.thorough
def test_attention_that_torchs_exporter_refuses(over_windows: Predictor, tmp_path: Path) -> None:
    write_onnx(over_windows, tmp_path / "model.onnx")
    assert largest_difference(over_windows, tmp_path / "model.onnx") < TOLERANCE


def test_attention_is_written_out_for_the_exporter(
    over_windows: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels: list[object] = []
    attention = nn.functional.scaled_dot_product_attention
    images = torch.zeros((2, 3, 64, 64), dtype=torch.uint8)

    def counted(*given: Any, **more: Any) -> Tensor:
        kernels.append(given)
        return attention(*given, **more)

    def scores(model: nn.Module) -> Tensor:
        kernels.clear()
        with torch.no_grad():
            found: Tensor = model(images)
        return found

    def stopped(model: nn.Module, *_: object, **__: object) -> None:
        written_out.append(scores(model))
        assert not kernels
        raise torch.onnx.OnnxExporterError("seen enough")

    monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", counted)
    fused = over_windows.probabilities({over_windows.formats[0]: images})
    assert kernels
    written_out: list[Tensor] = []
    monkeypatch.setattr(torch.onnx, "export", stopped)
    with pytest.raises(torch.onnx.OnnxExporterError):
        write_onnx(over_windows, tmp_path / "model.onnx")
    torch.testing.assert_close(written_out[0], fused)
    # The model itself is as it was.
    assert all(fused_in(over_windows))
    assert fused_in(over_windows)


class Clipped(nn.Module):
    """Clips the mean of each image in two ways, as Gemma does what goes into queries and keys."""

    low: Tensor
    high: Tensor
    lower: Tensor
    higher: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, bound in (("low", -0.2), ("high", 0.1), ("lower", -2.0), ("higher", 0.3)):
            self.register_buffer(name, torch.tensor(bound))

    def forward(self, images: Tensor) -> Tensor:
        means = images.mean((2, 3)) * 9
        narrow, wide = means.clamp(self.low, self.high), means.clamp(self.lower, self.higher)
        return torch.stack([narrow.sum(1), wide.sum(1)], 1)


def test_two_clips_of_one_thing_keep_their_bounds_in_any_batch(
    door: Door, cfg: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the door, which has a model in its place that takes no time to write."""
    predictor = predictor_of(cfg("data.img_size=32"))
    predictor.members[0].model = Clipped()
    predictor = replace(predictor, temperature=1.5)
    monkeypatch.setattr("src.inference.onnx.open_predictor", lambda *_, **__: predictor)
    said = door("src.predict", f"run={tmp_path}", "export=onnx")
    assert "uint8 [N, 3, 32, 32]" in said
    assert "the same within" in said
    path = tmp_path / "model.onnx"
    assert largest_difference(predictor, path) < TOLERANCE
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 7):
        images = np.ascontiguousarray(coloured(count, 32).images.transpose(0, 3, 1, 2))
        (theirs,) = session.run(None, {"images": images})
        ours = predictor.probabilities({predictor.formats[0]: torch.from_numpy(images)})
        np.testing.assert_allclose(theirs, ours.numpy(), atol=1e-5)
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["classes"]) == ["a", "b"]
    assert (facts["image_size"], facts["fit"], facts["temperature"]) == ("32", "pad", "1.5")


def test_a_model_that_torch_cannot_write_is_told(
    door: Door, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise torch.onnx.OnnxExporterError("next steps") from ValueError("no view\nof it")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    said = door("src.predict", f"run={run_folder}", "export=onnx", code=1)
    assert "torch cannot write this model as ONNX (no view)" in said
    assert not list(run_folder.glob("*.part"))


def test_a_file_that_onnxruntime_cannot_read_is_told(
    door: Door, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(predictor: Predictor, path: Path) -> None:
        path.write_bytes(b"no model")

    monkeypatch.setattr("src.inference.onnx.write_onnx", write)
    said = door("src.predict", f"run={run_folder}", "export=onnx", code=1)
    assert "model.onnx: onnxruntime cannot run it" in said
    assert said.rstrip().endswith("do not use it")
