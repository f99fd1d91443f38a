"""The configurations of the table: the defaults, then points that fill the space evenly.

They are the same for all models and data sets, so that what is good on one can be looked up on
another.
"""

import math
from dataclasses import asdict, dataclass

# Reaches beyond what presets search for the models of the table on both sides.
LEARNING_RATES = 1e-4, 3e-2
WEIGHT_DECAYS = 0.01, 0.1
DROPOUTS = 0.0, 0.3
SMOOTHINGS = 0.0, 0.2
BATCHES = 16, 32, 48, 64
WARMUPS = 0, 1, 2


@dataclass(frozen=True)
class Configuration:
    """What is varied."""

    lr: float
    batch_size: int
    weight_decay: float
    drop_rate: float
    label_smoothing: float
    warmup_epochs: int

    def keys(self) -> list[str]:
        """Return it as overrides of `conf/train.yaml`."""
        values = asdict(self)
        return [f"{KEYS[name]}={value}" for name, value in values.items()]


KEYS = {
    "lr": "optimizer.lr",
    "batch_size": "data.batch_size",
    "weight_decay": "optimizer.weight_decay",
    "drop_rate": "model.drop_rate",
    "label_smoothing": "loss.label_smoothing",
    "warmup_epochs": "scheduler.warmup_epochs",
}
# As a run has them where nothing is said.
DEFAULTS = Configuration(1e-3, 32, 0.05, 0.0, 0.1, 1)


def configuration(number: int) -> Configuration:
    """Return configuration `number`: 0 the defaults, then an additive recurrence.

    Multiples of the powers of a generalised golden ratio (Roberts, 2018, "The unreasonable
    effectiveness of quasirandom sequences"): any first n of them are spread evenly, and no library
    has to draw the same numbers in its next version.
    """
    if number == 0:
        return DEFAULTS
    lr, batch, decay, dropout, smoothing, warmup = (
        (0.5 + number * step) % 1 for step in _steps(len(KEYS))
    )
    return Configuration(
        lr=float(f"{math.exp(_between(lr, *map(math.log, LEARNING_RATES))):.4g}"),
        batch_size=BATCHES[int(batch * len(BATCHES))],
        weight_decay=round(_between(decay, *WEIGHT_DECAYS), 4),
        drop_rate=round(_between(dropout, *DROPOUTS), 4),
        label_smoothing=round(_between(smoothing, *SMOOTHINGS), 4),
        warmup_epochs=WARMUPS[int(warmup * len(WARMUPS))],
    )


def _steps(dimensions: int) -> list[float]:
    """Return the step of each dimension: powers of 1 / g, where g ** (d + 1) = g + 1."""
    ratio = 2.0
    for _ in range(60):
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    return [ratio**-power % 1 for power in range(1, dimensions + 1)]


def _between(share: float, low: float, high: float) -> float:
    return low + share * (high - low)
