"""The edges of the schedule: no, long and fractional warm-ups, short runs, accumulation."""

from typing import Any

import pytest
import pytorch_lightning as pl

from doctune.errors import UserError
from src.data.image_set import ImageSet
from src.training.config import SchedulerConfig
from src.training.fit import fit
from src.training.optimizer import learning_rate_factor
from tests.conftest import Compose


def factors(cfg: SchedulerConfig, steps_per_epoch: int, epochs: int) -> list[float]:
    factor = learning_rate_factor(cfg, steps_per_epoch, epochs)
    return [factor(step) for step in range(steps_per_epoch * epochs)]


def test_no_warm_up_starts_at_the_peak() -> None:
    assert factors(SchedulerConfig(warmup_epochs=0), 4, 2)[0] == 1.0


def test_warm_up_takes_half_of_a_short_run_at_most() -> None:
    found = factors(SchedulerConfig(warmup_epochs=5), 4, 2)
    assert found.index(max(found)) == 3
    assert found[-1] == pytest.approx(0.01)


def test_fractions_of_an_epoch() -> None:
    assert factors(SchedulerConfig(warmup_epochs=0.5), 8, 2)[:4] == [0.25, 0.5, 0.75, 1.0]


def test_constant_stays_at_the_peak() -> None:
    found = factors(SchedulerConfig("constant", warmup_epochs=1), 4, 3)
    assert found == [0.25, 0.5, 0.75] + [1.0] * 9


def test_one_step_is_enough() -> None:
    assert factors(SchedulerConfig(), 1, 1) == [1.0]


def test_past_the_end_it_stays_at_the_floor() -> None:
    assert learning_rate_factor(SchedulerConfig(), 4, 2)(100) == pytest.approx(0.01)


def test_unknown_name() -> None:
    with pytest.raises(UserError, match=r"scheduler\.name=linear.*cosine or constant"):
        learning_rate_factor(SchedulerConfig("linear"), 4, 2)


def test_accumulated_batches_are_one_step(cfg: Compose, blobs: ImageSet) -> None:
    # 90 images in batches of 18 are 5 batches: 3 steps an epoch, the last of one batch.
    seen: list[float] = []

    class Watch(pl.Callback):
        def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
            seen.append(optimizer.param_groups[0]["lr"])

    config = cfg(
        *("data.img_size=32", "data.batch_size=18", "trainer.accumulate_grad_batches=2"),
        *("optimizer.lr=1.0", "scheduler.warmup_epochs=1"),
    )
    fit(config, blobs, blobs, max_epochs=2, seed=0, output_dir=None, callbacks=[Watch()])
    assert seen == pytest.approx(factors(config.scheduler, 3, 2))
