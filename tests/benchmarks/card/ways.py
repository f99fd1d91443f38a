"""Images a second of ours, Lightning with a DataLoader, timm's loop, and a bare loop.

The ways of `tests.benchmarks.throughput`, at 224 px; loaders have a process a core.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.card.parts import Row
from tests.benchmarks.throughput import LIMIT, WAYS, Case, write_images

MODELS = ("convnext_tiny", "efficientnet_b0", "resnet50")
CASES = tuple(Case(name, 224, 64, 64 * 24, "bf16-mixed") for name in MODELS)
TINY = (Case("test_resnet", 32, 8, 24, "bf16-mixed"),)
# Loading in the training's own process is far behind on any card.
LEFT_OUT = ("Lightning + DataLoader, no worker", "timm's loader and loop, no worker")


def rows(tiny: bool, limit: float) -> Iterator[Row]:
    """Yield a row for each model and way; without workers if `tiny`, with them otherwise."""
    ended = time.monotonic() + limit
    cases = TINY if tiny else CASES
    with tempfile.TemporaryDirectory() as folder:
        # The same for all models.
        images = write_images(cases[0], Path(folder))
        for case in cases:
            limit_speed = 0.0
            for name, way in WAYS.items():
                if (name in LEFT_OUT) != tiny and name not in (LIMIT, "ours"):
                    continue
                if time.monotonic() > ended:
                    return
                seconds = statistics.median(epoch.wall for epoch in way(case, Path(folder), images))
                speed = case.images // case.batch * case.batch / seconds
                limit_speed = limit_speed or speed
                yield {
                    "model": case.name,
                    "way": name,
                    "images/s": speed,
                    "of the limit": speed / limit_speed,
                }
