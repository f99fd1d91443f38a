"""Trains with every variant below; as a program on two processes, each taking a part of each batch.

`python -m tests.training.two_processes FOLDER VARIANT...`
"""

import copy
import functools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from src.before import config as config
from src.data.image_set import ImageSet
from src.hardware import profile as profile
from src.training import distribution as several_cards
from src.training.card_rules import is_first
from src.training.evaluate import evaluate
from src.training.fit import fit
from tests.trained_run import coloured
from tests.training import preloaded_cards

CONF = str(Path(__file__).parents[2] / "conf")
# Without dropout, and but for STILL without batch norm, which sees half of a batch on each of two
# cards; one epoch, so that the weights that are kept are the last ones.
COMMON = (
    *("optuna.study_name=none", "callbacks.progress=false"),
    *("data.img_size=32", "data.batch_size=16", "model.name=test_vit"),
    *("optimizer.lr=3e-3", "optimizer.weight_decay=0.5", "callbacks.gradient_clip_norm=0.5"),
)
SGD = ("optimizer=sgd", "optimizer.lr=0.1")
FSDP = ("trainer.strategy=fsdp",)
# Weights that do not move, so that only their statistics can differ; one batch of them.
STILL = ("model.name=test_resnet", *SGD, "optimizer.lr=1e-12", "trainer.precise_bn=16")
VARIANTS: dict[str, tuple[str, ...]] = {
    "ddp": SGD,
    "class_weights": (*SGD, "loss.class_weights=balanced"),
    "balanced_batches": (*SGD, "data.sampling=balanced"),
    "balanced_accumulated": (
        *(*SGD, "data.sampling=balanced"),
        "trainer.accumulate_grad_batches=2",
    ),
    "pieces": (*SGD, "loss.class_weights=balanced", "trainer.micro_batch_size=3"),
    "accumulated": (*SGD, "trainer.accumulate_grad_batches=2"),
    "one_batch": (*SGD, "data.batch_size=64"),
    "statistics": STILL,
    "fsdp": FSDP,
    "fsdp_sgd": (*FSDP, *SGD, "loss.class_weights=balanced"),
    "fsdp_accumulated": (*FSDP, *SGD, "trainer.accumulate_grad_batches=2"),
    "fsdp_checkpointing": (*FSDP, "model.grad_checkpointing=true"),
    "fsdp_statistics": (*FSDP, *STILL),
    "fsdp_convnext": (*FSDP, *SGD, "model.name=test_convnext"),
}


@functools.cache
def composed(*groups: str) -> DictConfig:
    with initialize_config_dir(CONF):
        return compose("train", ["gpu=cpu", "logger=none", *groups])


def config_of(name: str, *words: str) -> Any:
    """Return the config of a variant; composing it anew would take as long as training."""
    given = [*COMMON, *VARIANTS[name], *words]
    cfg = copy.deepcopy(composed(*(word for word in given if word in SGD[:1])))
    cfg.merge_with_dotlist([word for word in given if word not in SGD[:1]])
    if cfg.model.name == "test_vit":
        # Further blocks are shared out as these are.
        cfg.model.kwargs = {"depth": 2}
    return cfg


def uneven() -> ImageSet:
    """Return 50 images, 30, 12 and 8 of a class: three batches of 16 and two left out."""
    rows = [np.arange(label, 90, 3)[:count] for label, count in enumerate((30, 12, 8))]
    return coloured(90, 32).subset(np.concatenate(rows))


def train(name: str, folder: Path, *words: str) -> dict[str, Any]:
    """Train a variant, leaving its weights in `folder`; return what came out."""
    cfg = config_of(name, *words)
    images = uneven()
    parts = images, images.subset(np.arange(41))
    result = fit(cfg, *parts, max_epochs=1, seed=1, output_dir=folder / name)
    metrics = result.trainer.callback_metrics
    validation = [float(metrics[f"val/{key}"]) for key in ("loss", "f1", "accuracy")]
    found = evaluate(result, images.subset(np.arange(37)), cfg)
    return {
        "validation": validation,
        "test": [found.loss, found.f1, found.accuracy],
        "confusion": found.confusion,
    }


if __name__ == "__main__":
    preloaded_cards.begin_so()
    # The blocks of the test models are small.
    several_cards.SMALLEST_BLOCK = 10_000
    where = Path(sys.argv[1])
    came_out = {name: train(name, where, "trainer.devices=2") for name in sys.argv[2:]}
    if is_first():
        torch.save(came_out, where / "came_out.pt")
    several_cards.leave_group()
