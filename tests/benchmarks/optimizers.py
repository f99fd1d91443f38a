"""Whether another optimizer than AdamW earns a place in a search, on the built-in documents:

    python -m tests.benchmarks.optimizers tiny|lite0 [OPTIMIZER ...] [--again]

`tiny` is trained from scratch at 32 px, 12 epochs; `lite0` starts from its ImageNet weights (extra
`lite`), 64 px, 3 epochs. Every optimizer has the same learning rates; the one with the best
macro-F1 on the validation split is trained with three seeds more, and these are scored on the test
split, which nothing else has seen. Runs are kept in `outputs/optimizers_*.jsonl` as they come, so
that one that was ended goes on from there.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from src.before import config as config
from src.data.load import load_splits
from src.data.splits import Splits
from src.hardware import profile as profile
from src.training.evaluate import evaluate
from src.training.fit import fit
from tests.conftest import CONF

OPTIMIZERS = ("adamw", "muon", "nadamuon")
# What is trained -> words of the config, lowest and highest learning rate, how many of them.
SETTINGS: dict[str, tuple[tuple[str, ...], float, float, int]] = {
    "tiny": (("data.img_size=32", "trainer.max_epochs=12", "data.n_images=1200"), 1e-3, 1e-1, 5),
    "lite0": (
        (
            *("experiment=finetune_lite0", "data.img_size=64", "trainer.max_epochs=3"),
            *("data.n_images=700", "data.batch_size=32"),
        ),
        *(5e-4, 2e-2, 4),
    ),
}
# Two fifths are for the test, or it would tell apart no less than 0.05.
COMMON = ("gpu=cpu", "logger=none", "callbacks.progress=false", "data.test_fraction=0.4")
SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Run:
    """A training and its macro-F1; the test is looked at for the best learning rate alone."""

    optimizer: str
    lr: float
    seed: int
    val: float
    test: float | None
    # Of the processor.
    seconds: float


def main(words: Sequence[str]) -> None:
    """Print a row for every run, and a table at the end."""
    setting = next(word for word in words if word in SETTINGS)
    kept = Path(f"outputs/optimizers_{setting}.jsonl")
    if "--again" in words:
        kept.unlink(missing_ok=True)
    lines = kept.read_text().splitlines() if kept.is_file() else []
    runs = {(run.optimizer, run.lr, run.seed): run for run in (Run(**json.loads(x)) for x in lines)}
    _, low, high, count = SETTINGS[setting]
    rates = [float(f"{rate:.2g}") for rate in np.geomspace(low, high, count)]
    splits = load_splits(_config(setting, OPTIMIZERS[0], rates[0]).data)

    def run(optimizer: str, lr: float, seed: int, *, tested: bool = False) -> Run:
        if (optimizer, lr, seed) not in runs:
            found = _train(_config(setting, optimizer, lr), splits, seed, tested)
            done = Run(optimizer, lr, seed, *found)
            with kept.open("a") as file:
                file.write(json.dumps(asdict(done)) + "\n")
            runs[optimizer, lr, seed] = done
        print(runs[optimizer, lr, seed], flush=True)
        return runs[optimizer, lr, seed]

    rows = []
    for optimizer in [word for word in words if word in OPTIMIZERS] or OPTIMIZERS:
        tried = [run(optimizer, lr, 0) for lr in rates]
        best = max(tried, key=lambda found: found.val)
        again = [run(optimizer, best.lr, seed, tested=True) for seed in SEEDS]
        tests = [found.test for found in again if found.test is not None]
        seconds = fmean(found.seconds for found in (*tried, *again))
        rows.append(
            f"| {optimizer} | {' '.join(f'{found.val:.2f}' for found in tried)} | {best.lr:g} | "
            f"{fmean(found.val for found in again):.3f} | {fmean(tests):.3f} ± {stdev(tests):.3f} "
            f"| {seconds:.1f} |"
        )
    print(
        f"| optimizer | validation at {' '.join(f'{lr:g}' for lr in rates)} | best | "
        "validation, 3 seeds | test, 3 seeds | s |"
    )
    print("|---" * 6 + "|", *rows, sep="\n")


def _config(setting: str, optimizer: str, lr: float) -> DictConfig:
    own = SETTINGS[setting][0]
    words = [*COMMON, *own, f"optimizer={optimizer}", f"optimizer.lr={lr}"]
    with initialize_config_dir(CONF):
        return compose("train", words)


def _train(
    cfg: DictConfig, splits: Splits, seed: int, tested: bool
) -> tuple[float, float | None, float]:
    """Return macro-F1 on the validation and test splits, and seconds of the processor."""
    started = time.process_time()
    epochs = cfg.trainer.max_epochs
    done = fit(cfg, splits.train, splits.val, max_epochs=epochs, seed=seed, output_dir=None)
    seconds = time.process_time() - started
    test = evaluate(done, splits.test, cfg).f1 if tested else None
    return done.f1, test, round(seconds, 1)


if __name__ == "__main__":
    main(sys.argv[1:])
