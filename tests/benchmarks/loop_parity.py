"""Whether a training run of ours scores as a plain Lightning loop does:

    python -m tests.benchmarks.loop_parity [SEEDS] [EPOCHS]

Half of scikit-learn's digits, 32 px, `tiny`, batches of 32, no augmentation, macro-F1 on a third
that is held out. The plain loop is written as a user would: timm's model and parameter groups,
torch's AdamW, Lightning's clipping, a DataLoader. With one seed both begin with the same weights.
`same order` gives the plain loop our order of batches: what is left is rounding, of which the first
seeds show in 64 bits that there is nothing else. `own order` lets it shuffle: what is left is the
noise of the order, and anything that the loops do differently. Differences are ours minus theirs,
with a 95 % interval of the mean.
"""

import logging
import math
import sys
import warnings
from collections.abc import Iterator
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytorch_lightning as pl
import timm
import torch
from hydra import compose, initialize_config_dir
from scipy import stats
from timm.optim import param_groups_weight_decay  # type: ignore[attr-defined]
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, Sampler, TensorDataset
from torchmetrics.classification import MulticlassF1Score

from src.before import config as config
from src.data.folds import stratified_folds
from src.data.image_set import ImageSet
from src.hardware import profile as profile
from src.training.fit import fit
from tests.benchmarks.batch_norm import digits
from tests.conftest import CONF

SIZE, LR, DECAY = 32, 1e-3, 0.05
WORDS = (
    *("gpu=cpu", "logger=none", "data.img_size=32", f"data.batch_size={SIZE}"),
    *(f"optimizer.lr={LR}", f"optimizer.weight_decay={DECAY}", "trainer.precise_bn=0"),
)


class Plain(pl.LightningModule):
    """What a user would write."""

    def __init__(self, classes: int, steps: int, epochs: int) -> None:
        super().__init__()
        self.net = timm.create_model("test_resnet", num_classes=classes)
        self.train_loss = nn.CrossEntropyLoss(label_smoothing=0.1)
        self.f1 = MulticlassF1Score(classes, average="macro")
        self._steps, self._epochs = steps, epochs

    def forward(self, images: Tensor) -> Tensor:
        mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
        std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
        scores: Tensor = self.net((images.to(mean.dtype) / 255 - mean) / std)
        return scores

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        loss: Tensor = self.train_loss(self(batch[0]), batch[1])
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.f1(self(batch[0]).argmax(1), batch[1])
        self.log("f1", self.f1, on_epoch=True)

    def configure_optimizers(self) -> Any:
        groups = param_groups_weight_decay(self.net, DECAY)
        optimizer = torch.optim.AdamW(groups, lr=LR)
        total, warmup = (
            self._steps * self._epochs,
            min(self._steps, self._steps * self._epochs // 2),
        )

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            done = min(1.0, (step - warmup) / max(1, total - 1 - warmup))
            return 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class OurOrder(Sampler[int]):
    """Orders images as `BatchLoader` does."""

    def __init__(self, count: int, seed: int) -> None:
        self._count, self._draw = count, np.random.default_rng(seed)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        return iter(self._draw.permutation(self._count).tolist())


def plain(
    train: ImageSet, val: ImageSet, seed: int, epochs: int, precision: Any, own_order: bool
) -> float:
    """Return macro-F1 of the plain loop."""
    pl.seed_everything(seed, verbose=False)
    model = Plain(len(train.classes), len(train) // SIZE, epochs)
    held, seen = (
        TensorDataset(
            torch.from_numpy(part.images).permute(0, 3, 1, 2).contiguous(),
            torch.from_numpy(part.labels),
        )
        for part in (val, train)
    )
    order: Sampler[int] = RandomSampler(seen) if own_order else OurOrder(len(train), seed)
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        precision=precision,
        gradient_clip_val=1.0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    batches = DataLoader(seen, batch_sampler=BatchSampler(order, SIZE, drop_last=True))
    trainer.fit(model, batches, DataLoader(held, 2 * SIZE))
    return float(trainer.callback_metrics["f1"])


def main(seeds: int = 12, epochs: int = 3, exact_seeds: int = 3) -> None:
    """Print the differences of every seed, and what they amount to."""
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    data = digits()
    data = data.subset(np.arange(0, len(data), 2))
    rows = stratified_folds(data.labels, 3, 0)[0]
    train, val = data.subset(rows[0]), data.subset(rows[1])

    def ours(seed: int, precision: str) -> float:
        cfg: Any = compose("train", [*WORDS, f"trainer.precision={precision}"])
        return fit(cfg, train, val, max_epochs=epochs, seed=seed, output_dir=None).f1

    def theirs(seed: int, precision: str, own_order: bool) -> float:
        return plain(train, val, seed, epochs, precision, own_order)

    same, own = [], []
    with initialize_config_dir(CONF):
        print("seed    ours  same order, 64 bits")
        for seed in range(exact_seeds):
            mine = ours(seed, "64-true")
            print(f"{seed:>4}{mine:8.4f}{mine - theirs(seed, '64-true', False):+21.4f}", flush=True)
        print("seed    ours  same order  own order")
        for seed in range(seeds):
            mine = ours(seed, "32-true")
            same.append(mine - theirs(seed, "32-true", False))
            own.append(mine - theirs(seed, "32-true", True))
            print(f"{seed:>4}{mine:8.4f}{same[-1]:+12.4f}{own[-1]:+11.4f}", flush=True)
    for name, found in (("same order", same), ("own order", own)):
        if len(found) > 1:
            half = float(stats.t.ppf(0.975, seeds - 1)) * stdev(found) / math.sqrt(seeds)
            spread = f"spread of one {stdev(found):.4f}"
            print(f"{name}: {fmean(found):+.4f} +- {half:.4f} ({spread})")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
