"""The learning rate of every step: linear warm-up, then cosine or constant."""

import math
from collections.abc import Callable

from src.errors import UserError
from src.training.config import SchedulerConfig

NAMES = ("cosine", "constant")


def learning_rate_factor(
    cfg: SchedulerConfig, steps_per_epoch: int, max_epochs: int
) -> Callable[[int], float]:
    """Return the function step -> share of the peak learning rate.

    The warm-up rises from 1/w of the peak at the first of its w steps and is cut to half of the
    run. The cosine (Loshchilov & Hutter, ICLR 2017, arXiv 1608.03983) ends at `min_lr_ratio`
    at the last step.

    Raises:
        UserError: the schedule's name is unknown.
    """
    if cfg.name not in NAMES:
        raise UserError(f"scheduler.name={cfg.name}: unknown; choose {' or '.join(NAMES)}")
    # Read once: this is asked at every step, and a config takes its time to answer.
    is_constant, floor = cfg.name == "constant", cfg.min_lr_ratio
    total = steps_per_epoch * max_epochs
    warmup = min(round(cfg.warmup_epochs * steps_per_epoch), total // 2)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        if is_constant:
            return 1.0
        progress = min(1.0, (step - warmup) / max(1, total - 1 - warmup))
        return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2

    return factor
