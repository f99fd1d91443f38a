"""Time of training the presets' models, beside another state of this repository.

    git worktree add /tmp/before 05997aa
    python -m tests.benchmarks.training_time /tmp/before [MODEL ...]

05997aa is the last one before running statistics were kept from moving twice under gradient
checkpointing, decay was told by what a parameter is, and batch norm's statistics were made exact.
Both train the same model on the same images of noise, in turns, a process each; the first epoch of
each turn warms up. Time of the processor, the least of all turns: for the steps alone, and for an
epoch with its validation. An epoch is a tenth of one of `make fast`, with as many parts for
validation and for batch norm's statistics.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import REPOSITORY

# Model -> side of its images in pixels; the largest presets have relatives here that are as built.
MODELS = {
    "test_resnet": 64,
    "tf_efficientnet_lite0": 64,
    "efficientnet_b3": 64,
    "resnet50": 64,
    "convnext_tiny": 64,
    "swin_tiny_patch4_window7_224": 64,
}
TURNS = 2
# `make fast` has 961 images to train on, 480 to validate on, and 512 for the statistics.
TRAINED, VALIDATED, STATISTICS = 96, 48, 51
WORDS = ("gpu=cpu", "logger=none", "callbacks.progress=false", "data.batch_size=16")

# Trains what it is told to, and says what the steps and the whole of the second epoch took.
TRAINER = f"""
import json, sys, time
from pathlib import Path
import numpy as np, pytorch_lightning as pl
from hydra import compose, initialize_config_dir
try:
    from src.before import config
except ImportError:
    from src.trial import config
from src.data.image_set import ImageSet
from src.hardware import profile
from src.training.fit import fit

class Clock(pl.Callback):
    def __init__(self):
        self.begun, self.steps = [], []
    def on_train_epoch_start(self, *_):
        self.begun.append(time.process_time())
    def on_train_batch_end(self, trainer, *_):
        if trainer.is_last_batch:
            self.steps.append(time.process_time() - self.begun[-1])
    def on_fit_end(self, *_):
        self.begun.append(time.process_time())

def noise(count, size):
    pixels = np.random.default_rng(0).integers(0, 255, (count, size, size, 3), dtype=np.uint8)
    return ImageSet(pixels, np.arange(count) % 12, tuple(map(str, range(12))))

for line in sys.stdin:
    words, size = json.loads(line)
    with initialize_config_dir(str(Path("conf").resolve()), version_base=None):
        cfg = compose("train", words)
    if "precise_bn" in cfg.trainer:
        cfg.trainer.precise_bn = {STATISTICS}
    clock = Clock()
    train, val = noise({TRAINED}, size), noise({VALIDATED}, size)
    fit(cfg, train, val, max_epochs=2, seed=0, output_dir=None, callbacks=[clock])
    print("seconds", clock.steps[1], clock.begun[2] - clock.begun[1], flush=True)
"""


class Trainer:
    """A process that trains as a checkout does."""

    def __init__(self, checkout: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", TRAINER],
            cwd=checkout,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def train(self, words: Sequence[str], size: int) -> tuple[float, float]:
        """Return seconds of the processor for the steps of an epoch, and for all of it."""
        asked, told = self._process.stdin, self._process.stdout
        assert asked
        assert told
        asked.write(json.dumps([words, size]) + "\n")
        asked.flush()
        for line in told:
            if line.startswith("seconds"):
                _, steps, epoch = line.split()
                return float(steps), float(epoch)
        raise RuntimeError("the process has ended")

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def main(before: Path, models: Sequence[str]) -> None:
    """Print a row a model."""
    print("| model | px | steps, ms an image | ratio | epoch, ms an image | ratio |")
    print("|---|---|---|---|---|---|", flush=True)
    both = Trainer(REPOSITORY), Trainer(before)
    for name in models or MODELS:
        size = MODELS[name]
        words = [*WORDS, f"model.name={name}", f"data.img_size={size}"]
        turns = [[trainer.train(words, size) for trainer in both] for _ in range(TURNS)]
        cells = []
        for part in range(2):
            now, then = (
                1000 * min(turn[which][part] for turn in turns) / TRAINED for which in range(2)
            )
            cells.append(f"{now:.1f}, before {then:.1f} | {now / then:.2f}")
        print(f"| `{name}` | {size} | {' | '.join(cells)} |", flush=True)
    for trainer in both:
        trainer.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
