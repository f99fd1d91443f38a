"""Trains the configurations of the table, in several processes that append rows to one file."""

import json
import multiprocessing
import os
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from sklearn.metrics import f1_score

from src.before import config as config  # registers the schemas and resolvers of conf/
from src.data.folds import stratified_folds
from src.data.image_set import ImageSet
from src.data.loader import BatchLoader
from src.hardware import profile as profile
from src.training.fit import FitResult, fit
from tests.benchmarks.curves import perceptron
from tests.benchmarks.curves.configurations import Configuration, configuration
from tests.benchmarks.curves.sets import SIDE, Data, load
from tests.benchmarks.curves.table import FOLDS, PRETRAINED, Key, Row, keys_in

CONF = str(Path(__file__).parents[3] / "conf")
# Pages are drawn at their own seed; weights and batches of fold k from SEED + k, as in a trial.
SEED = 42
SCORED_AT_A_TIME = 128
# Of the cut into folds, `data.seed`.
CUT_SEED = 0


@dataclass(frozen=True)
class Order:
    """What is to be recorded."""

    out: Path
    cache: str
    workers: int
    # The first so many of them use a card.
    cuda: int
    # From `started` on; a run that is not expected to end by then is not begun.
    seconds: float
    started: float
    tasks: tuple[Key, ...]


def tasks_left(
    known: Iterable[Key],
    numbers: Iterable[int],
    models: Sequence[str],
    sets: Sequence[str],
    lengths: Sequence[int],
) -> list[Key]:
    """Return what is not recorded yet: all models, data sets and lengths of a number together."""
    done = set(known)
    wanted = (
        Key(model, name, number, epochs)
        for number in numbers
        for model in models
        for name in sets
        for epochs in lengths
    )
    return [key for key in wanted if key not in done]


def record(order: Order) -> int:
    """Train until all is done or the time is over; return how many rows the file has."""
    order.out.mkdir(parents=True, exist_ok=True)
    if any(key.set == "documents" for key in order.tasks):
        # Before the workers, so that none waits for another to draw the pages.
        with initialize_config_dir(CONF):
            load("documents", order.cache)
    context = multiprocessing.get_context("spawn")
    following = context.Value("i", 0)
    started = [
        context.Process(target=_work, args=(order, following, number))
        for number in range(order.workers)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join()
    failed = [process.exitcode for process in started if process.exitcode]
    if failed:
        raise SystemExit(f"{len(failed)} of {order.workers} workers failed")
    return len(keys_in(order.out))


def speeds(rows: Iterable[Row]) -> Iterator[str]:
    """Yield a line for each device and model: how long an epoch of a fold took."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        seconds = sum(row.seconds) / row.key.epochs / FOLDS
        found.setdefault((row.device, row.key.model), []).append(seconds)
    for (device, model), values in sorted(found.items()):
        yield f"{device} {model}: {len(values)} rows, {fmean(values):.2f} s an epoch of a fold"


def _work(order: Order, following: Any, worker: int) -> None:
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("high")  # as in a trial
    device = "cuda" if worker < order.cuda else "cpu"
    data: dict[str, Data] = {}
    # Seconds an epoch, the most so far, by model and data set.
    seconds: dict[tuple[str, str], float] = {}
    with initialize_config_dir(CONF):
        for key in _taken(order.tasks, following):
            left = order.seconds - (time.monotonic() - order.started)
            usual = seconds.get((key.model, key.set), max(seconds.values(), default=0.0))
            if usual * key.epochs * FOLDS > left:
                break
            if key.set not in data:
                data[key.set] = load(key.set, order.cache)
            row = train(key, configuration(key.number), data[key.set], device)
            found = sum(row.seconds) / key.epochs / FOLDS
            seconds[key.model, key.set] = max(found, seconds.get((key.model, key.set), 0.0))
            _append(order.out / "rows.jsonl", row)


def _taken(tasks: tuple[Key, ...], following: Any) -> Iterator[Key]:
    """Yield tasks that no other worker has."""
    while True:
        with following.get_lock():
            index = following.value
            following.value += 1
        if index >= len(tasks):
            return
        yield tasks[index]


def _append(path: Path, row: Row) -> None:
    """Append a line in one write, which other processes' lines cannot come between."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(file, (json.dumps(row.as_json()) + "\n").encode())
    finally:
        os.close(file)


class Curve(pl.Callback):
    """Keeps macro-F1 after every epoch."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take it."""
        self.values.append(float(trainer.callback_metrics["val/f1"]))


def train(key: Key, chosen: Configuration, data: Data, device: str) -> Row:
    """Train all folds of a configuration as a trial of a search does, and score the test split."""
    if key.model == perceptron.NAME:
        found = perceptron.curves_of(chosen, data, key.epochs, FOLDS, CUT_SEED, SEED)
        return Row(key, asdict(chosen), "cpu", *found)
    cfg = compose(
        "train",
        [
            *("gpu=cpu", "logger=none", f"data.img_size={SIDE}", f"trainer.accelerator={device}"),
            *(_model_keys(key.model) + chosen.keys()),
            # For a few epochs cuDNN would compile longer than it trains.
            *(["trainer.depthwise=torch"] if device == "cuda" else []),
        ],
    )
    curves, test, seconds = [], [], []
    labels = data.searched.labels
    for fold, (train_rows, val_rows) in enumerate(
        stratified_folds(labels, FOLDS, cfg.data.seed, data.searched.groups)
    ):
        began, curve = time.monotonic(), Curve()
        result = fit(
            cfg,
            data.searched.subset(train_rows),
            data.searched.subset(val_rows),
            max_epochs=key.epochs,
            seed=SEED + fold,
            output_dir=None,
            callbacks=[curve],
        )
        seconds.append(time.monotonic() - began)
        curves.append(curve.values)
        test.append(_score(result, data.test))
    return Row(key, asdict(chosen), device, curves, test, seconds)


def _model_keys(name: str) -> list[str]:
    if name in PRETRAINED:
        return [f"model={PRETRAINED[name]}"]
    return [f"model.name={name}", "model.pretrained=false"]


def _score(result: FitResult, images: ImageSet) -> float:
    """Return macro-F1 of the last epoch's model."""
    device = result.trainer.strategy.root_device
    # Lightning leaves the model on the CPU.
    module = result.module.eval().to(device)
    with torch.no_grad():
        said = [
            module(batch.to(device)).argmax(1).cpu()
            for batch, _ in BatchLoader(images, SCORED_AT_A_TIME, shuffle=False)
        ]
    found = torch.cat(said).numpy()
    return float(f1_score(images.labels, found, average="macro", zero_division=0))
