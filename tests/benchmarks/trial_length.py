"""How many optimizer steps a trial needs before its score ranks configurations as a long one does:

    python -m tests.benchmarks.trial_length [CONFIGURATIONS]

A quarter of scikit-learn's digits, 32 px, `tiny`, one fold. Each configuration draws a learning
rate, a weight decay, dropout and a batch of 16, 32 or 64, and is trained anew with whole schedules
of 1 to 12 epochs. Kendall's tau (1: the same order, 0: none) is that of macro-F1 after so many
epochs and after 12, with batch norm's running averages and with exact statistics of the same
weights; `best` is what the configuration that is ahead then lacks after 12 epochs.
"""

import sys
import warnings
from collections import defaultdict
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from scipy.stats import kendalltau
from sklearn.metrics import f1_score

from src.before import config as config
from src.data.folds import stratified_folds
from src.data.image_set import ImageSet
from src.hardware import profile as profile
from src.training.batch_norm import take_statistics
from src.training.fit import fit
from tests.benchmarks.batch_norm import digits
from tests.conftest import CONF

EPOCHS = (1, 3, 5, 12)
RUNNING, EXACT = "running averages", "exact statistics"


def scores(keys: list[str], train: ImageSet, val: ImageSet, epochs: int) -> dict[str, float]:
    """Train for so many epochs; return macro-F1 with both kinds of statistics."""
    cfg: Any = compose("train", ["gpu=cpu", "logger=none", "data.img_size=32", *keys])
    result = fit(cfg, train, val, max_epochs=epochs, seed=0, output_dir=None)
    module = result.module.eval()
    take_statistics(module.model, [module.normalize(_pixels(train))])
    with torch.no_grad():
        found = module(_pixels(val)).argmax(1).numpy()
    exact = f1_score(val.labels, found, average="macro", zero_division=0)
    return {RUNNING: result.f1, EXACT: float(exact)}


def _pixels(images: ImageSet) -> torch.Tensor:
    return torch.from_numpy(images.images[:512]).permute(0, 3, 1, 2)


def draw(rng: np.random.Generator) -> list[str]:
    """Draw a configuration."""
    rate, decay, dropout = 10 ** rng.uniform(-4, -1.7), rng.uniform(0.01, 0.1), rng.uniform(0, 0.3)
    return [
        *(f"optimizer.lr={rate}", f"optimizer.weight_decay={decay}", f"model.drop_rate={dropout}"),
        *(f"data.batch_size={rng.choice([16, 32, 64])}", "trainer.precise_bn=0"),
    ]


def main(configurations: int = 12) -> None:
    """Print the table as it grows."""
    warnings.filterwarnings("ignore")
    rng = np.random.default_rng(0)
    data = digits()
    data = data.subset(np.arange(0, len(data), 4))
    rows = stratified_folds(data.labels, 3, 0)[0]
    parts = data.subset(rows[0]), data.subset(rows[1])
    found: dict[tuple[str, int], list[float]] = defaultdict(list)
    with initialize_config_dir(CONF):
        for number in range(configurations):
            keys = draw(rng)
            for epochs in EPOCHS:
                for kind, score in scores(keys, *parts, epochs).items():
                    found[kind, epochs].append(score)
            if number >= 5:
                _print(found)


def _print(found: dict[tuple[str, int], list[float]]) -> None:
    last = np.array(found[EXACT, EPOCHS[-1]])
    print(f"{len(last)} configurations")
    for kind in (RUNNING, EXACT):
        for epochs in EPOCHS:
            early = np.array(found[kind, epochs])
            tau, lost = kendalltau(early, last).statistic, last[early.argmax()] - last.max()
            steps = f"{epochs * 4:>3} to {epochs * 18} steps"
            print(f"{kind:17}{epochs:>3} epochs, {steps}: tau {tau:+.2f}, best {lost:+.3f}")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
