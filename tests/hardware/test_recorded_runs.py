"""What is predicted of a training step, against what cards were seen to take.

Recorded on one H200 (without what its driver keeps; torch 2.11.0+cu130, cuDNN 9.19; 27 November
2026) by `python -m tests.benchmarks.card --only steps`; docs/card.md has the whole of it.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from src.hardware import memory
from src.hardware.footprint import Footprint
from src.hardware.memory import GIB
from src.hardware.speed import card_seconds, step_time
from src.training.forecast import footprint_of
from src.trial import run as run  # registers the resolvers of the configs
from tests.conftest import Compose


@dataclass(frozen=True)
class Recorded:
    """Sizes in GB (2**30 bytes), times in ms."""

    model: str
    side: int
    batch: int
    precision: str
    # PyTorch's allocator at the peak without the images that lie on the card; what it has taken of
    # the card with them; their size; what the process takes beside.
    allocated: float
    reserved: float
    images: float
    beside: float
    step: float
    # The sum of the kernels, of which those of the two EfficientNets are not complete.
    kernels: float | None


ROWS = (
    Recorded("efficientnet_b0", 224, 64, "16-mixed", 2.833, 3.332, 0.1256, 0.7509, 50.27, None),
    Recorded("efficientnet_b3", 320, 48, "16-mixed", 8.142, 8.920, 0.1923, 0.7686, 69.06, None),
    Recorded("convnext_tiny", 224, 64, "16-mixed", 4.302, 4.521, 0.1256, 0.7509, 37.36, 25.48),
    Recorded("resnet50", 224, 64, "16-mixed", 3.142, 3.457, 0.1256, 0.7646, 36.44, 12.67),
    Recorded(
        *("swin_tiny_patch4_window7_224", 224, 64, "16-mixed"),
        *(4.772, 5.088, 0.1256, 0.7685, 54.31, 32.27),
    ),
    Recorded("convnext_base", 320, 24, "bf16-mixed", 7.554, 8.027, 0.0961, 0.7704, 53.74, 38.87),
)


# All but the one that is counted soonest; test_memory has steps of other kinds of small models.
LARGE = {row.model for row in ROWS} - {"convnext_tiny"}


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=[pytest.mark.thorough] if row.model in LARGE else []) for row in ROWS],
    ids=lambda row: row.model,
)
def test_of_an_h200(cfg: Compose, row: Recorded) -> None:
    # The profile that fits the card; it says what is predicted, not that there is a card.
    found: Any = cfg(
        *("gpu=h100", "trainer.accelerator=cpu", "logger=none", f"model.name={row.model}"),
        *(f"data.img_size={row.side}", f"data.batch_size={row.batch}"),
        f"trainer.precision={row.precision}",
    )
    footprint: Footprint = footprint_of(found, 12)
    allocated = memory.allocated(footprint, row.batch) / GIB
    # Never short, but for the rounding of what was recorded.
    assert row.allocated - 0.002 <= allocated <= 1.03 * row.allocated
    taken = row.reserved - row.images + row.beside
    assert memory.needed(footprint, row.batch) / GIB == pytest.approx(taken, rel=0.05)
    if row.kernels is not None:
        card = 1000 * card_seconds(footprint, row.batch, found.gpu)
        assert card == pytest.approx(row.kernels, rel=0.24)
    # Python was what took long, which depends on the machine.
    seconds = step_time(footprint, row.batch, found.gpu).train
    assert 1000 * seconds == pytest.approx(row.step, rel=0.25)
