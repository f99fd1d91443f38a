"""A run or an ensemble as one ONNX file, for programs without torch.

Input `images`: uint8 [N, 3, S, S], RGB as decoded, any N; a quarter of the bytes of floats, and no
caller can normalise wrongly, as that is in the file. Output `probabilities`: float32 [N, C], with
the temperature that was found unless `calibrated=false`. The file's metadata name the classes
(JSON), the image size, the fit and the temperature.
"""

import contextlib
import importlib.util
import io
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from doctune.errors import UserError, first_line
from doctune.files import replacing
from src.inference.config import PredictConfig
from src.inference.predictor import Predictor, cooled, open_predictor
from src.inference.tables import check_choice
from src.inference.trained_model import ImageFormat

FORMATS = ("onnx",)
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
# How far onnxruntime's probabilities may be from torch's, on the CPU in float32.
TOLERANCE = 1e-4


class _WeightedMean(nn.Module):
    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.members = nn.ModuleList(predictor.members)
        self.weights = tuple(predictor.weights)
        self.temperature = predictor.temperature

    def forward(self, images: Tensor) -> Tensor:
        found = [
            weight * member(images)
            for member, weight in zip(self.members, self.weights, strict=True)
        ]
        return cooled(torch.stack(found).sum(0), self.temperature)


def export(cfg: PredictConfig, console: Console) -> Path:
    """Write `<run>/model.onnx`, and compare it with the model in onnxruntime.

    Raises:
        UserError: a package is missing, or the predictor cannot be one file.
    """
    check_choice("export", str(cfg.export), FORMATS)
    if cfg.run is None:
        raise UserError("run=FOLDER is needed: what to export")
    if cfg.tta:
        raise UserError("tta=true cannot be exported; export without, and turn images yourself")
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"export=onnx: {', '.join(missing)} not installed; pip install 'doctune[onnx]'"
        )
    predictor = open_predictor(Path(cfg.run), "cpu", calibrated=cfg.calibrated)
    if len(predictor.formats) > 1:
        raise UserError(
            f"run={cfg.run}: its members take images {_unlike(predictor.formats)}; export them "
            "one by one, run=<member>"
        )
    path = Path(cfg.run) / "model.onnx"
    try:
        write_onnx(predictor, path)
    except torch.onnx.OnnxExporterError as error:
        reason = first_line(error.__cause__ or error)
        raise UserError(
            f"run={cfg.run}: torch cannot write this model as ONNX ({reason})"
        ) from error
    try:
        difference = largest_difference(predictor, path)
    except Exception as error:  # onnxruntime's have no class of their own in common
        reason = first_line(error)
        raise UserError(f"{path}: onnxruntime cannot run it ({reason}); do not use it") from error
    size = predictor.formats[0].size
    console.print(
        f"{predictor.describe()}\n{path}: images uint8 [N, 3, {size}, {size}] to probabilities "
        f"[N, {len(predictor.classes)}]\nonnxruntime gives the same within {difference:.1e}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if difference > TOLERANCE:
        raise UserError(f"{path}: differs from the model by more than {TOLERANCE:g}; do not use it")
    return path


def _unlike(formats: Sequence[ImageFormat]) -> str:
    """Say in what the formats of members differ."""
    sizes = list(dict.fromkeys(str(found.size) for found in formats))
    if len(sizes) > 1:
        return f"of different sizes ({', '.join(sizes)})"
    return f"made square in different ways (data.fit={', '.join(found.fit for found in formats)})"


def write_onnx(predictor: Predictor, path: Path) -> None:
    """Write the file, of the model in float32; it takes its name when it is whole."""
    import onnx

    for member in predictor.members:
        member.in_float32()
    wanted = predictor.formats[0]
    model = _WeightedMean(predictor).eval()
    example = torch.zeros((2, 3, wanted.size, wanted.size), dtype=torch.uint8)
    with replacing(path) as part:
        with _quiet(), _attention_written_out(model):
            program: Any = torch.onnx.export(
                model,
                (example,),
                input_names=["images"],
                output_names=["probabilities"],
                dynamic_shapes={"images": {0: torch.export.Dim("batch", min=1)}},
                dynamo=True,
            )
        _put_back_constants(program.model.graph)
        found = program.model_proto
        facts = {"classes": json.dumps(predictor.classes, ensure_ascii=False), "fit": wanted.fit}
        numbers = {"image_size": str(wanted.size), "temperature": f"{predictor.temperature:g}"}
        onnx.helper.set_model_props(found, facts | numbers)
        onnx.save(found, part)


def largest_difference(predictor: Predictor, path: Path) -> float:
    """Return how far onnxruntime's probabilities are from the model's, on images of noise."""
    import onnxruntime

    wanted = predictor.formats[0]
    noise = np.random.default_rng(0).integers(
        0, 256, (3, 3, wanted.size, wanted.size), dtype=np.uint8
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {"images": noise})
    ours = predictor.probabilities({wanted: torch.from_numpy(noise)}).numpy()
    return float(np.abs(ours - theirs).max())


@contextlib.contextmanager
def _attention_written_out(model: nn.Module) -> Iterator[None]:
    """Let timm's attention be products and a softmax, as torch's own kernels are hard to export.

    Those of the CPU lay out what they return otherwise than what the exporter puts in their place,
    so that BEiT is refused, and queries of five dimensions, as in Hiera, it does not know.
    """
    fused: list[Any] = [part for part in model.modules() if getattr(part, "fused_attn", False)]
    for part in fused:
        part.fused_attn = False
    try:
        yield
    finally:
        for part in fused:
            part.fused_attn = True


def _put_back_constants(graph: Any) -> None:
    """Add to the file's numbers those that onnxscript 0.7.2 loses.

    Where several clips have one input, it names their bounds alike and keeps the last ones.
    """
    for node in graph:
        for value in node.inputs:
            if value is not None and value.const_value is not None and value.producer() is None:
                graph.initializers.setdefault(value.name, value)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's talk off the screen; what it raises is still seen."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
