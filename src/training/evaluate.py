"""Scores of a trained model on a set of images, and the files that a run leaves."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from torch import Tensor

from src.data.image_set import ImageSet
from src.data.loader import BatchLoader
from src.training.calibration import FILE, Fitted, fitted
from src.training.card_rules import is_sharded
from src.training.fit import FitResult, evaluation_batch, make_trainer
from src.training.module import Classifier


@dataclass
class Metrics:
    """Scores on one set of images."""

    loss: float
    # Macro-F1, the mean over the classes.
    f1: float
    accuracy: float
    f1_by_class: dict[str, float]
    # [true class][predicted class], counts.
    confusion: list[list[int]]
    # Logits float32 [N, C], and labels int64 [N] in the same order, which is no particular one.
    scores: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


def evaluate(result: FitResult, images: ImageSet, cfg: DictConfig) -> Metrics:
    """Score the best epoch of a run, or the last one where no checkpoint was kept.

    The scores are returned and logged nowhere.
    """
    module, trainer = _whole(result, cfg)
    trainer.loggers = []
    if result.weights is not None:
        module.load_state_dict(result.weights)
    elif result.checkpoint is not None:
        kept = torch.load(result.checkpoint, map_location="cpu", weights_only=True)
        module.load_state_dict(kept["state_dict"])
    module.confusion.reset()
    module.test_metrics.reset()
    part = trainer.global_rank, trainer.world_size
    loader = BatchLoader(images, evaluation_batch(cfg), shuffle=False, part=part)
    scores = trainer.test(module, loader, verbose=False)[0]
    counts = module.counts
    hits = counts.diagonal()
    support = (counts.sum(0) + counts.sum(1)).clamp(min=1)
    by_class = (2 * hits / support).tolist()
    return Metrics(
        loss=scores["test/loss"],
        f1=scores["test/f1"],
        accuracy=scores["test/accuracy"],
        f1_by_class=dict(zip(images.classes, by_class, strict=True)),
        confusion=counts.tolist(),
        scores=module.tested[0].numpy(),
        labels=module.tested[1].numpy(),
    )


def scores_of(result: FitResult, images: ImageSet, cfg: DictConfig) -> Tensor:
    """Return a model's log-probabilities after its last epoch, float32 [N, C] on the CPU."""
    trainer = result.trainer
    device = trainer.strategy.root_device
    loader = BatchLoader(images, evaluation_batch(cfg), shuffle=False, device=device)
    scores: Any = trainer.predict(result.module, loader)
    found: Tensor = torch.cat(scores).float().log_softmax(1).cpu()
    return found


def _whole(result: FitResult, cfg: DictConfig) -> tuple[Classifier, pl.Trainer]:
    """Return the model and the trainer to score it with: fresh ones where it was sharded."""
    if not is_sharded(cfg):
        return result.module, result.trainer
    classes, epochs = result.module.classes, result.trainer.max_epochs or 1
    return Classifier(cfg, classes, 1, epochs), make_trainer(cfg, epochs)


def write_run(
    folder: Path,
    scores: Mapping[str, Metrics],
    classes: Sequence[str],
    codes: Sequence[str] = (),
) -> Fitted:
    """Write `metrics.json`, `classes.json`, `calibration.json` and the test confusion matrix.

    The matrix is written as CSV and as a page.

    Args:
        folder: of the run.
        scores: `validation` and `test`, and under wear `validation_worn` and `test_worn`.
        classes: names, in the order of the model's scores.
        codes: what the data call the classes where that is not their name.

    Returns:
        The temperature of the probabilities, as kept: fitted on the validation split, and judged on
        the test split, under wear where there is one.
    """
    metrics = {
        name: {
            "macro_f1": found.f1,
            "accuracy": found.accuracy,
            "loss": found.loss,
            "f1_by_class": found.f1_by_class,
        }
        for name, found in scores.items()
    }
    test = scores["test"]
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    # For who predicts with it.
    named = {"classes": list(classes), "codes": list(codes)}
    text = json.dumps(named, indent=2, ensure_ascii=False)
    (folder / "classes.json").write_text(text + "\n", encoding="utf-8")
    with (folder / "confusion_matrix.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["true \\ predicted", *classes])
        for name, row in zip(classes, test.confusion, strict=True):
            table.writerow([name, *row])
    _write_confusion_page(folder / "confusion_matrix.html", test, classes)
    on, judge = (scores.get(f"{name}_worn", scores[name]) for name in ("validation", "test"))
    found = fitted(on.scores, on.labels, judge.scores, judge.labels)
    text = json.dumps(asdict(found), indent=2)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")
    return found


def _write_confusion_page(path: Path, test: Metrics, classes: Sequence[str]) -> None:
    figure = go.Figure(
        go.Heatmap(
            z=test.confusion,
            x=list(classes),
            y=list(classes),
            texttemplate="%{z}",
            colorscale="Blues",
            showscale=False,
        )
    )
    figure.update_layout(
        title=f"Test split, macro-F1 {test.f1:.4f}",
        xaxis_title="predicted",
        yaxis_title="true",
        yaxis_autorange="reversed",
    )
    figure.write_html(path, include_plotlyjs=True)
